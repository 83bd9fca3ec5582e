"""What each kind of scan has to say of each behaviour of the scan lab. Written from the meaning of the answers, not from any program."""
from scan_lab import REJECTS

TCP_KINDS = ["syn", "connect", "ack", "window", "fin", "null", "xmas", "maimon"]
HANDSHAKES = {"syn", "connect"}
ACKNOWLEDGING = {"ack", "window"}
QUIET = {"fin", "null", "xmas"}  # an open port of Linux answers none of them; it answers maimon, whose ACK belongs to nothing


def of_silence(kind):
    return "filtered" if kind in HANDSHAKES | ACKNOWLEDGING else "open|filtered"


def of_reset(kind):
    return "unfiltered" if kind == "ack" else "closed"  # Linux and nft send resets with a window of zero


def expected(kind, behaviour, version, router):
    """(state, reason) of one cell."""
    name = behaviour.name
    if name == "open":
        if kind == "udp":
            return "open", "udp-response"
        if kind in HANDSHAKES:
            return "open", "syn-ack"
        return (of_silence(kind), "no-response") if kind in QUIET else (of_reset(kind), "reset")
    if name == "closed":
        if kind == "ip-protocol":
            return "closed", "proto-unreach" if version == 4 else "param-problem"
        return ("closed", "port-unreach") if kind == "udp" else (of_reset(kind), "reset")
    if name == "stateful":
        return ("open", "syn-ack") if kind in HANDSHAKES else (of_silence(kind), "no-response")
    if name == "hop-limit":
        return "filtered", f"time-exceeded from {router}"
    if name.startswith("drop-"):
        return of_silence(kind), "no-response"
    if name.startswith("tcp-reset-"):
        return of_reset(kind), "reset"
    code = name.removesuffix("-" + behaviour.place)
    cause = REJECTS[version][code]
    if behaviour.place == "router":
        return "filtered", f"{cause} from {router}"
    if code == "port-unreachable" and kind in ("udp", "ip-protocol"):
        return ("closed" if kind == "udp" else "open"), cause
    if code == "prot-unreachable" and kind == "ip-protocol":
        return "closed", cause
    return "filtered", cause
