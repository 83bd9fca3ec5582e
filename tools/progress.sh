# Sourced by ./dev: says what is being done, shows that it moves, and keeps the output in a log.

say() { printf '\033[1m==>\033[0m %s\n' "$*" | plain_unless_terminal; }

plain_unless_terminal() {
  if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi
}

# step LABEL LOG COMMAND...: runs the command with its output in LOG. On a terminal the line shows the log's last line, elsewhere
# a line comes every 30 s. When it fails, the end of the log is shown.
step() {
  local label=$1 log=$2 start=$SECONDS beat=$SECONDS pid status=0 last columns
  shift 2
  mkdir -p "$(dirname "$log")"
  say "$label"
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  columns=$(tput cols 2>/dev/null || echo 100)
  while kill -0 "$pid" 2>/dev/null; do
    if [ -t 1 ]; then
      last=$(tail -c 400 "$log" 2>/dev/null | tr '\r' '\n' | tr -cd '[:print:]\n' | tail -n 1)
      printf '\r\033[K    %4ss  %s' $((SECONDS - start)) "${last:0:columns-12}"
    elif [ $((SECONDS - beat)) -ge 30 ]; then
      beat=$SECONDS
      last=$(tail -c 400 "$log" 2>/dev/null | tr '\r' '\n' | tr -cd '[:print:]\n' | tail -n 1)
      printf '    %4ss  %s\n' $((SECONDS - start)) "${last:0:110}"
    fi
    sleep 0.2
  done
  wait "$pid" || status=$?
  [ -t 1 ] && printf '\r\033[K'
  if [ "$status" -ne 0 ]; then
    echo "    failed after $((SECONDS - start)) s with code $status; the end of $log:"
    grep -n -m 20 -E '(^|[ :])(error|FAILED|E:)[ :]' "$log" | cut -c1-400 || true
    echo "    ..."
    tail -n 40 "$log" | cut -c1-400
    return "$status"
  fi
  if [ $((SECONDS - start)) -ge 2 ]; then echo "    $((SECONDS - start)) s"; fi
}
