"""The gateway's log as operators read it: in the journal, with who did what, and with readers that go away."""
import json
import re

from gateway import DRPF, READY_SECONDS_MAX, Gateway
from namespaces import wait_for

AS_THE_JOURNAL = 'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$@"'
TO_A_READER_OF_ONE_LINE = 'exec "$@" 2> >(head -n 1)'


def started_by(lab, script, *arguments, config=None):
    gateway = Gateway(lab, config, start=False)
    command = [DRPF, "gateway", "--state", gateway.state, "--socket", gateway.socket, *arguments]
    if config is not None:
        command += ["--config", gateway.config]
    gateway.process = lab.gw.popen("bash", "-c", script, "bash", *command, log=gateway.log)
    return gateway


def test_in_the_journal_each_line_has_its_priority_and_each_act_its_author(lab):
    gateway = started_by(lab, AS_THE_JOURNAL, config="")
    gateway.process.wait_for_output("READY", READY_SECONDS_MAX)
    text = gateway.add_device("ann", "laptop")
    private_key = re.search(r"PrivateKey = (\S+)", text)[1]
    gateway.write_config("[ports]\npol = 1\n")
    refused = gateway.cli_result("reload")
    assert refused.returncode == 78 and "unknown key 'pol'" in refused.stderr
    gateway.write_config('[leases]\ngrace = "12h"\n')
    assert gateway.cli("reload") == "changed  [leases] grace\n"
    assert json.loads(gateway.cli("reload", "--json")) == {"changed": [], "leases_ended": 0}
    log = gateway.log_text()
    assert all(re.match(r"<[2-7]>(?!\d{4}-)", line) for line in log.splitlines()), log
    assert re.search(r"^<6>audit: uid 0 pid \d+: device add account=ann name=laptop: ok$", log, re.MULTILINE), log
    assert re.search(r"^<6>audit: uid 0 pid \d+: reload end_leases=false: config_\w+$", log, re.MULTILINE), log
    assert re.search(r"^<3>the configuration stays as it was", log, re.MULTILINE), log
    assert private_key not in log


def test_a_chosen_level_and_json(lab):
    gateway = Gateway(lab, arguments=["--log", "json", "--log-level", "debug"])
    gateway.cli("account", "list")
    lines = [json.loads(line) for line in gateway.log_text().splitlines()]
    assert any(line["level"] == "debug" and "GET /v1/accounts: ok" in line["message"] for line in lines), lines


def test_a_reader_of_the_log_who_goes_away_does_not_take_the_gateway_with_him(lab):
    gateway = started_by(lab, TO_A_READER_OF_ONE_LINE)
    gateway.process.wait_for_output("public host", READY_SECONDS_MAX)
    wait_for(lambda: gateway.cli_result("status").returncode == 0, READY_SECONDS_MAX, "the gateway answers")
    for name in ("ann", "bob", "cleo"):
        gateway.cli("account", "add", name)
    assert gateway.process.running()
