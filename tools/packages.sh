# Sourced by ./dev: what each verb needs from apt, and how it is installed without touching the services of this machine.

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "This needs root: run ./dev as root, or install sudo and allow it to $(id -un)." >&2
    return 1
  fi
}

# A long run must not stop in its middle to ask for a password.
keep_sudo_awake() {
  if [ "$(id -u)" -eq 0 ]; then return; fi
  as_root true
  (while kill -0 $$ 2>/dev/null && sudo -n -v 2>/dev/null; do sleep 50; done) >/dev/null 2>&1 &
}

# The first Boost of 1.81 or newer that apt offers: Debian 12 has 1.81 beside its default 1.74, Ubuntu 24.04 has 1.83.
boost_version() {
  local version
  for version in 1.81 1.83 1.88 1.90; do
    if is_offered "libboost$version-dev"; then
      echo "$version"
      return
    fi
  done
  echo 1.81
}

is_offered() { [[ $(LC_ALL=C apt-cache policy "$1" 2>/dev/null) == *"Candidate: "[!\(]* ]]; }

packages_of() {  # group
  case $1 in
    build)
      local boost
      boost=$(boost_version)
      echo g++ cmake ninja-build pkg-config ccache mold "libboost$boost-dev" "libboost-json$boost-dev" libfmt-dev libspdlog-dev \
        libssl-dev libsqlite3-dev libcli11-dev libqrencode-dev libexpected-dev libtomlplusplus-dev libpugixml-dev
      if is_offered libipsec-mb-dev; then echo libipsec-mb-dev; fi  # x86-64 has it
      ;;
    run) echo nftables iproute2 wireguard-go wireguard-tools curl socat iputils-ping procps dovecot-pop3d nginx-light ;;
    test)
      echo openvpn libgtest-dev libgmock-dev librapidcheck-dev libbenchmark-dev clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev \
        libfuzzer-19-dev llvm-19 python3 python3-pytest python3-pytest-xdist python3-pytest-timeout python3-scapy tcpdump conntrack \
        iputils-ping util-linux sqlite3 postfix swaks iptables qbittorrent-nox transmission-daemon natpmpc libnatpmp-dev libminiupnpc-dev miniupnpc firewalld python3-dbus ufw dbus-daemon python3-pyftpdlib
      ;;
    kernel) echo qemu-system-x86 busybox-static kmod cpio ;;
    bench) echo iperf3 libbenchmark-dev miniupnpd miniupnpd-nftables openvpn haproxy openssh-server openssh-client openssl tinyproxy squid dante-server ;;
  esac
}

# Prints those of the packages named that are not installed.
missing_of() {
  local package
  for package in "$@"; do
    if ! dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed; then echo "$package"; fi
  done | sort -u
}

install_packages() {  # groups...
  local group missing wanted=() stamp
  if ! command -v apt-get >/dev/null; then
    echo "There is no apt here. drpf is built on Debian 12 and Ubuntu 24.04; elsewhere install by hand what tools/packages.sh lists." >&2
    return 1
  fi
  # The packages of a known list that were all there a moment ago are not looked for again, unless apt or dpkg changed something since.
  stamp=build/packages-$(sha256sum tools/packages.sh | cut -c1-16)-$(IFS=-; echo "$*")
  if [ -f "$stamp" ] && [ "$stamp" -nt /var/lib/dpkg/status ]; then return; fi
  for group in "$@"; do
    # shellcheck disable=SC2207
    wanted+=($(packages_of "$group"))
  done
  mapfile -t missing < <(missing_of "${wanted[@]}")
  if [ ${#missing[@]} -gt 0 ]; then
    step "refresh the package lists" "$LOGS/apt-update.log" as_root apt-get update
    wanted=()  # with fresh lists another Boost may be the right one
    for group in "$@"; do
      # shellcheck disable=SC2207
      wanted+=($(packages_of "$group"))
    done
    mapfile -t missing < <(missing_of "${wanted[@]}")
    refuse_removals "${missing[@]}"
    install_quietly "${missing[@]}"
  fi
  rm -f build/packages-*-"$(IFS=-; echo "$*")"
  touch "$stamp"
}

# apt would rather remove what stands in the way, e.g. Debian's default libboost-dev 1.74 or another mail server. That is not ours to do.
refuse_removals() {
  local plan removed
  if ! plan=$(LC_ALL=C apt-get -s install --no-install-recommends "$@" 2>&1); then
    echo "apt cannot install what is missing ($*):" >&2
    echo "$plan" | tail -n 12 >&2
    explain_conflict "$plan"
    return 1
  fi
  removed=$(awk '/^Remv /{print $2}' <<<"$plan" | tr '\n' ' ')
  if [ -n "$removed" ]; then
    echo "Installing $* would remove: $removed" >&2
    explain_conflict "$removed"
    echo "Nothing was changed. Remove them yourself (apt-get remove $removed) or use another machine or a container." >&2
    return 1
  fi
}

explain_conflict() {
  case $1 in
    *libboost1.74* | *libboost-dev*) echo "Debian's libboost1.81-dev cannot be installed beside its default libboost-dev (1.74): drpf needs 1.81 or newer." >&2 ;;
  esac
  case $1 in
    *exim4* | *mail-transport-agent* | *sendmail*) echo "The mail test needs Postfix, which Debian does not install beside another mail server." >&2 ;;
  esac
}

install_quietly() {  # packages...
  local policy=/usr/sbin/policy-rc.d ours=no status=0
  say "install ${#} packages: $*"
  # The servers among them are for the tests, which start their own: they must not be started on this machine.
  if [ ! -e $policy ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
    # shellcheck disable=SC2064
    trap "as_root rm -f $policy" EXIT
  fi
  case " $* " in
    *" postfix "*) echo 'postfix postfix/main_mailer_type select No configuration' | as_root debconf-set-selections 2>/dev/null || true ;;
  esac
  step "install packages" "$LOGS/apt-install.log" as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
    apt-get install -y --no-install-recommends -o Dpkg::Use-Pty=0 "$@" || status=$?
  if [ $ours = yes ]; then
    as_root rm -f $policy
    trap - EXIT
  fi
  if [ $status -eq 0 ] && [ -d /run/systemd/system ]; then disable_units "$@"; fi
  return $status
}

# What was installed for the tests must not start at the next boot either. Only units of packages that were not there before.
disable_units() {
  local package unit
  for package in "$@"; do
    case $package in
      postfix | nginx-light | dovecot-pop3d | iperf3 | firewalld | ufw) ;;
      *) continue ;;
    esac
    while read -r unit; do
      as_root systemctl disable "$unit" >>"$LOGS/apt-install.log" 2>&1 || true
    done < <(units_of "$package")
  done
}

units_of() {  # package: its units, and those of the package that carries its daemon
  local carrier=$1
  case $1 in
    nginx-light) carrier="nginx-light nginx-common nginx" ;;
    dovecot-pop3d) carrier="dovecot-core" ;;
  esac
  # shellcheck disable=SC2086
  dpkg -L $carrier 2>/dev/null | sed -n 's,^\(/usr\)\?/lib/systemd/system/\([^/@]*\.\(service\|socket\)\)$,\2,p' | sort -u
}
