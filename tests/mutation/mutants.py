"""Every safety check, each with the way in which it is broken here and the tests that must notice.

A mutant is one replacement of text that occurs exactly once in its file. What breaks is named from the cluster's view.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["MUTANTS", "Mutant"]


class Mutant(NamedTuple):
    """``tests`` are what pytest is given: a file, and after a blank the words for ``-k``."""

    breaks: str
    file: str
    old: str
    new: str
    tests: str


FENCE = "tests/protocol/test_fence_actions.py"
FENCE_FAULTS = "tests/protocol/test_fence_faults.py"
ADDRESS = "tests/protocol/test_floating_ip.py"
NIC = "tests/protocol/test_floating_ip_interface.py"
HOST = "tests/host/test_host.py"
LOOKS = "tests/host/test_looks.py"
PLUGINS = "tests/host/test_plugins.py"
AWS = "plugins/aws/tests/"
AZURE = "plugins/azure/tests/"
OCI = "plugins/oci/tests/"
IBM = "plugins/ibm/tests/"

FENCING = (
    Mutant(
        "one stale 'off' confirms a fence",
        "cloudha/fencing.py",
        "LOOKS = 2",
        "LOOKS = 1",
        f"{FENCE} older_than_the_last_start",
    ),
    Mutant(
        "off is believed without a stop of this action",
        "cloudha/fencing.py",
        "    elif change.asked_at is None:\n        _ask(host, change, host.power_off, wait)\n",
        "    elif change.asked_at is None and not state.is_off:\n        _ask(host, change, host.power_off, wait)\n",
        f"{FENCE} off",
    ),
    Mutant(
        "stopping counts as off",
        "cloudha/types.py",
        "return self in (PowerState.OFF, PowerState.TERMINATED)",
        "return self in (PowerState.OFF, PowerState.TERMINATED, PowerState.STOPPING)",
        f"{FENCE} stopping or stops_already",
    ),
    Mutant(
        "an unknown state counts as off",
        "cloudha/types.py",
        "return self in (PowerState.OFF, PowerState.TERMINATED)",
        "return self in (PowerState.OFF, PowerState.TERMINATED, PowerState.UNKNOWN)",
        LOOKS,
    ),
    Mutant(
        "a machine that is on again keeps the looks that found it off",
        "cloudha/fencing.py",
        "        change.reads = 0\n        if contradicted",
        "        if contradicted",
        LOOKS,
    ),
    Mutant(
        "not found after the stop is proof",
        "cloudha/fencing.py",
        'PowerReading(change.node.id, PowerState.UNKNOWN, "not found")',
        'PowerReading(change.node.id, PowerState.UNKNOWN, "not found")\n        change.done = True',
        f"{LOOKS} no_answer",
    ),
    Mutant(
        "an API that goes away after the stop, or the deadline, is 'off'",
        "cloudha/fencing.py",
        "        raise _unconfirmed(host, change, what, error.cause) from None",
        "        change.done = True",
        f"{LOOKS} no_answer",
    ),
    Mutant(
        "of several plugs one that is off is enough",
        "cloudha/fencing.py",
        "        if not waiting:\n            return",
        "        if len(waiting) < len(changes):\n            return",
        LOOKS,
    ),
    Mutant(
        "of two machines of one name the first is fenced",
        "cloudha/fencing.py",
        "    if len(found) > 1:",
        "    if len(found) > 99:",
        f"{FENCE} ambiguous",
    ),
    Mutant(
        "a terminated namesake is taken for the machine",
        "cloudha/fencing.py",
        "if n.id == plug or n.state is not PowerState.TERMINATED]",
        "if True]",
        f"{FENCE} terminated or living",
    ),
    Mutant(
        "only the first page is searched for the plug",
        "cloudha/fencing.py",
        "        if answer.next is None:\n            return",
        "        return",
        f"{FENCE} pages",
    ),
    Mutant(
        "a refused stop counts as accepted",
        "cloudha/fencing.py",
        "        change.refusal = conflict.cause\n        if change.needless",
        "        change.asked_at = host.deadline.elapsed\n        if change.needless",
        LOOKS,
    ),
    Mutant(
        "a stop that was refused as needless counts as accepted",
        "cloudha/fencing.py",
        "    if accepted.sent:\n        if change.needless",
        "    if True:\n        if change.needless",
        f"{LOOKS} needless",
    ),
    Mutant(
        "a stop that was refused as needless is believed at once",
        "cloudha/fencing.py",
        " and now - change.needless_since >= SETTLE_SECONDS:",
        ":",
        f"{LOOKS} needless",
    ),
    Mutant(
        "a stop that was refused as needless need not be refused at the end",
        "cloudha/fencing.py",
        "            _ask(host, change, host.power_off, wait)\n            change.done = change.needless",
        "            change.done = True or change.needless",
        f"{LOOKS} needless",
    ),
    Mutant(
        "a machine that runs between two refusals does not begin the wait anew",
        "cloudha/fencing.py",
        "        change.reads = 0\n        change.needless_since = None\n        _ask(",
        "        _ask(",
        f"{LOOKS} needless",
    ),
)

ADDRESSES = (
    Mutant(
        "two old 'not here' are enough for a stop, whatever was started here",
        "cloudha/addresses.py",
        "(progress.looks >= LOOKS and clock.elapsed >= settled)):\n                return True\n"
        "            if progress.accepted is None and (marked or not progress.looks):",
        "(progress.looks >= LOOKS)):\n                return True\n"
        "            if progress.accepted is None and (not progress.looks):",
        LOOKS,
    ),
    Mutant(
        "a stop that sent nothing, on an old answer, counts as one",
        "cloudha/addresses.py",
        "                if answer.sent:\n",
        "                if answer:\n",
        LOOKS,
    ),
    Mutant(
        "an old 'on' is believed without a start",
        "cloudha/fencing.py",
        "    if state is PowerState.ON and change.asked_at is not None:",
        "    if state is PowerState.ON:",
        LOOKS,
    ),
    Mutant(
        "help= on standard input ends a fence with 0",
        "cloudha/agents/fence_input.py",
        "if found and canonical(name) not in FOR_PEOPLE:",
        "if found:",
        "tests/protocol/test_fence_input.py people",
    ),
    Mutant(
        "no machine at all is a good list",
        "cloudha/agents/fence_actions.py",
        "    if not found:\n        # Pacemaker",
        "    if False:\n        # Pacemaker",
        "tests/protocol/test_fence_actions.py list",
    ),
    Mutant(
        "a mark that cannot be read is no mark",
        "cloudha/addresses.py",
        "marked = local_mark.read_mark(self._mark) is not Verdict.NO",
        "marked = local_mark.read_mark(self._mark) is Verdict.YES",
        LOOKS,
    ),
    Mutant(
        "a start leaves no mark",
        "cloudha/addresses.py",
        "        local_mark.set_mark(self._mark)\n",
        "",
        f"{ADDRESS} mark or stale or empty_list or stop",
    ),
    Mutant(
        "the mark goes before the stop is certain",
        "cloudha/addresses.py",
        "        self._unbind()\n        local_mark.clear_mark(self._mark)",
        "        local_mark.clear_mark(self._mark)\n        self._unbind()",
        f"{ADDRESS} mark or stop",
    ),
    Mutant(
        "a monitor believes the API's first 'not here'",
        "cloudha/addresses.py",
        "if held is Held.NOT_HERE and evidence.verdict is not Verdict.NO:",
        "if False:",
        LOOKS,
    ),
    Mutant(
        "good local evidence and a denying API are 'not running'",
        "cloudha/addresses.py",
        "        if evidence.verdict is Verdict.YES:\n            # Two sources",
        "        if False:\n            # Two sources",
        LOOKS,
    ),
    Mutant(
        "an address that is here only in part is 'not running'",
        "cloudha/addresses.py",
        "return Held.HERE if holders == {me} else Held.PARTLY",
        "return Held.HERE if holders == {me} else Held.NOT_HERE",
        LOOKS,
    ),
    Mutant(
        "an address that is here only in part is 'running'",
        "cloudha/addresses.py",
        "return Held.HERE if holders == {me} else Held.PARTLY",
        "return Held.HERE",
        LOOKS,
    ),
    Mutant(
        "an API that is away is 'not running'",
        "cloudha/addresses.py",
        '                return Status(running=False, reason=f"{evidence.source} does not list it")\n            raise',
        '                return Status(running=False, reason=f"{evidence.source} does not list it")\n'
        "            return Status(running=False)",
        f"{ADDRESS} error_is_never",
    ),
    Mutant(
        "no evidence counts as good evidence",
        "cloudha/addresses.py",
        "        good = evidence.verdict is Verdict.YES or (",
        "        good = evidence.verdict is not Verdict.NO or (",
        f"{ADDRESS} error_is_never",
    ),
    Mutant(
        "another node's evidence counts as ours",
        "cloudha/addresses.py",
        "if self.request.node and not self._is_local(self.request.node):",
        "if False:",
        LOOKS,
    ),
    Mutant(
        "a stop ends before the metadata service agrees",
        "cloudha/addresses.py",
        "return self._held() is Held.NOT_HERE and self._evidence().verdict is not Verdict.YES",
        "return self._held() is Held.NOT_HERE",
        LOOKS,
    ),
    Mutant(
        "a start is done when it was accepted",
        "cloudha/addresses.py",
        "            return self._bound()\n",
        "            return True\n",
        f"{ADDRESS} stale or take or longer",
    ),
    Mutant(
        "a stop is done when it was accepted",
        "cloudha/addresses.py",
        "                    progress.looks = 0\n                    return self._free()",
        "                    return True",
        f"{ADDRESS} stale or take or longer",
    ),
    Mutant(
        "takeover=never takes over",
        "cloudha/addresses.py",
        "move=self.request.takeover, mac=mac)",
        "move=True, mac=mac)",
        f"{ADDRESS} takeover",
    ),
    Mutant(
        "the interface keeps the address after a stop",
        "cloudha/addresses.py",
        "        nic.remove_address(request.interface, request.ip, deadline)\n",
        "        pass\n",
        f"{NIC} stop",
    ),
    Mutant(
        "an address that cannot answer is 'not running'",
        "cloudha/addresses.py",
        "        if state is nic.AddressState.UNUSABLE:",
        "        if False:",
        f"{NIC} down",
    ),
    Mutant(
        "half of it, the cloud's, is 'running'",
        "cloudha/addresses.py",
        "        if configured is Verdict.NO:\n            return",
        "        if False:\n            return",
        f"{NIC} both_halves",
    ),
    Mutant(
        "a node without means to ask says 'stopped' in spite of its mark",
        "cloudha/addresses.py",
        "return local_mark.read_mark(mark_key(provider, request)) is Verdict.NO",
        "return True",
        f"{ADDRESS} mark or probe",
    ),
    Mutant(
        "a node without means to ask says 'stopped' in spite of its interface",
        "cloudha/addresses.py",
        "        if state is not nic.AddressState.ABSENT:\n            return False",
        "        pass",
        f"{NIC} without_the_provider",
    ),
    Mutant(
        "only the first page of holders is read",
        "cloudha/addresses.py",
        "            if page is None:\n                break",
        "            break",
        LOOKS,
    ),
    Mutant(
        "a mark that could not be written counts as none",
        "cloudha/local_mark.py",
        "return Verdict.NO if boot_id and writable and not lost else Verdict.CANNOT_TELL",
        "return Verdict.NO",
        "tests/test_local_mark.py",
    ),
)

HOSTS = (
    Mutant(
        "a state of another machine is believed",
        "cloudha/host.py",
        "        if reading.node_id != node.id:",
        "        if False:",
        f"{HOST} another_machine",
    ),
    Mutant(
        "an answer of another type is believed",
        "cloudha/host.py",
        "        if not isinstance(answer, expected):",
        "        if False:",
        f"{HOST} another_type or nobody",
    ),
    Mutant(
        "a hanging hook holds the action for ever",
        "cloudha/guard.py",
        "thread.join(max(0.0, seconds))",
        "thread.join()",
        f"{HOST} never_returns",
    ),
    Mutant(
        "an observer changes an answer",
        "cloudha/host.py",
        "        if recorder.error is not None:\n            raise recorder.error\n        return recorder.answer",
        "        if error is not None:\n            raise error\n        return answer",
        f"{HOST} observer",
    ),
    Mutant(
        "a refusal is tried to the deadline",
        "cloudha/retry.py",
        "retry=retry_if_exception_type(Unavailable)",
        "retry=retry_if_exception_type(Exception)",
        f"{HOST} only_unavailable or refusal",
    ),
    Mutant(
        "a wait goes beyond the deadline",
        "cloudha/deadline.py",
        "wait = min(seconds, self.remaining)",
        "wait = seconds",
        "tests/host/test_deadline.py",
    ),
    Mutant(
        "nothing is left between our deadline and Pacemaker's kill",
        "cloudha/deadline.py",
        "return Deadline(timeout - margin)",
        "return Deadline(timeout)",
        "tests/host/test_deadline.py",
    ),
    Mutant(
        "a secret is shown in an error",
        "cloudha/host.py",
        "target=target).redacted(self._secrets)",
        "target=target)",
        f"{HOST} secret",
    ),
    Mutant(
        "a secret file that others can read is used",
        "cloudha/options.py",
        "if status.st_mode & 0o077:",
        "if False:",
        "tests/protocol plugins/sim/tests plugins/azure/tests/test_credentials.py read or secret_file",
    ),
    Mutant(
        "a misspelt hook is passed over",
        "cloudha/plugins.py",
        "        manager.check_pending()\n",
        "",
        f"{PLUGINS} broken_provider",
    ),
    Mutant(
        "of two providers of one name the first is used",
        "cloudha/installed.py",
        "    if len(found) > 1:",
        "    if False:",
        f"{PLUGINS} two_distributions",
    ),
    Mutant(
        "an observer acts as a provider",
        "cloudha/plugins.py",
        "if impl.plugin_name == plugin_name and not (impl.wrapper or impl.hookwrapper):",
        "if False:",
        f"{PLUGINS} observer",
    ),
    Mutant(
        "an address is compared as text",
        "cloudha/fencing.py",
        "(address and address in node.addresses)",
        "any(plug in str(a) for a in node.addresses)",
        LOOKS,
    ),
)

PROVIDERS = (
    Mutant(
        "OCI: a refused stop is an accepted one",
        "plugins/oci/src/cloudha_plugin_oci/machines.py",
        'already", sent=False)',
        'already")',
        f"{OCI}test_machines.py either_way",
    ),
    Mutant(
        "OCI: whatever refusal of a stop means stopped",
        "plugins/oci/src/cloudha_plugin_oci/machines.py",
        "        if not conflict.cause.startswith(ABOUT_STATE):\n            raise\n",
        "",
        f"{OCI}test_machines.py another_reason",
    ),
    Mutant(
        "OCI: stopping is off",
        "plugins/oci/src/cloudha_plugin_oci/machines.py",
        '"STOPPING": PowerState.STOPPING',
        '"STOPPING": PowerState.OFF',
        f"{OCI}test_machines.py every_word",
    ),
    Mutant(
        "OCI: an unknown power word is off",
        "plugins/oci/src/cloudha_plugin_oci/machines.py",
        "return PowerReading(node.id, STATES.get(word, PowerState.UNKNOWN), raw=word)",
        "return PowerReading(node.id, STATES.get(word, PowerState.OFF), raw=word)",
        f"{OCI}test_machines.py word",
    ),
    Mutant(
        "OCI: any address of a machine names it, the floating one too",
        "plugins/oci/src/cloudha_plugin_oci/machines.py",
        'if instance and fits and item.get("isPrimary") is True:',
        "if instance and fits:",
        f"{OCI}test_machines.py holder",
    ),
    Mutant(
        "IBM: a refused stop is an accepted one",
        "plugins/ibm/src/cloudha_plugin_ibm/machines.py",
        'already", sent=False)',
        'already")',
        f"{IBM}test_machines.py stopped_instance",
    ),
    Mutant(
        "IBM: whatever refusal of a stop means stopped",
        "plugins/ibm/src/cloudha_plugin_ibm/machines.py",
        "if not about_status or power_state",
        "if power_state",
        f"{IBM}test_machines.py another_reason",
    ),
    Mutant(
        "IBM: stopping is off",
        "plugins/ibm/src/cloudha_plugin_ibm/machines.py",
        '"stopping": PowerState.STOPPING',
        '"stopping": PowerState.OFF',
        f"{IBM}test_machines.py status",
    ),
    Mutant(
        "IBM: an address that is deleted with its interface is taken all the same",
        "plugins/ibm/src/cloudha_plugin_ibm/reserved_ips.py",
        "    if item.auto_delete:",
        "    if False:",
        f"{IBM}test_private_addresses.py auto_delete",
    ),
    Mutant(
        "IBM: an interface that is another machine's by now has the address here",
        "plugins/ibm/src/cloudha_plugin_ibm/private_addresses.py",
        "if ip in interface.ips and interface.machine == me:",
        "if ip in interface.ips:",
        f"{IBM}test_private_addresses.py another_machines",
    ),
    Mutant(
        "OCI: an address on another machine is unbound",
        "plugins/oci/src/cloudha_plugin_oci/private_addresses.py",
        "    if held.vnic == vnic.id:",
        "    if held.vnic:",
        f"{OCI}test_conformance.py private and (unbind or bind)",
    ),
    Mutant(
        "AWS: stopping is off",
        "plugins/aws/src/cloudha_plugin_aws/machines.py",
        '"stopping": PowerState.STOPPING',
        '"stopping": PowerState.OFF',
        f"{AWS}test_machines.py",
    ),
    Mutant(
        "an answer without the field means that there is none",
        "cloudha/web.py",
        '        _unreadable(f"lacks the field {name}")',
        "        return kind()",
        f"{AWS}test_addresses.py missing_field",
    ),
    Mutant(
        "AWS: an unknown power word is off",
        "plugins/aws/src/cloudha_plugin_aws/machines.py",
        "return PowerReading(node.id, STATES.get(word, PowerState.UNKNOWN), raw=word)",
        "return PowerReading(node.id, STATES.get(word, PowerState.OFF), raw=word)",
        f"{AWS}test_machines.py {AWS}test_conformance.py every_state or unknown",
    ),
    Mutant(
        "Azure: deallocating is off",
        "plugins/azure/src/cloudha_plugin_azure/machines.py",
        '"powerstate/deallocating": PowerState.STOPPING',
        '"powerstate/deallocating": PowerState.OFF',
        f"{AZURE}test_machines.py power_word",
    ),
    Mutant(
        "Azure: a machine without a view is off",
        "plugins/azure/src/cloudha_plugin_azure/machines.py",
        "return PowerReading(node.id, STATES.get(word.lower(), PowerState.UNKNOWN), raw=word)",
        "return PowerReading(node.id, STATES.get(word.lower(), PowerState.OFF), raw=word)",
        f"{AZURE}test_machines.py power_word or view",
    ),
)

KEPT_FILE = "cloudha/kept_secrets.py"
KEPT_TESTS = f"{IBM}test_token_cache.py"
KEPT = (
    Mutant(
        "a login that others can read is used",
        KEPT_FILE,
        "        _insist(status, os.geteuid(), OTHERS)\n",
        "",
        KEPT_TESTS,
    ),
    Mutant(
        "a login from a directory that others write to is used",
        KEPT_FILE,
        "        _insist(os.fstat(directory), user, OTHERS_WRITE)\n        yield directory",
        "        yield directory",
        KEPT_TESTS,
    ),
    Mutant(
        "a login from below a directory that others write to is used",
        KEPT_FILE,
        "        _insist(os.fstat(parent), user, OTHERS_WRITE)\n",
        "",
        KEPT_TESTS,
    ),
    Mutant("a login with a second name is used", KEPT_FILE, " or status.st_nlink > 1", "", KEPT_TESTS),
    Mutant(
        "a symbolic link to a login is followed",
        KEPT_FILE,
        "os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK",
        "os.O_RDONLY | os.O_NONBLOCK",
        KEPT_TESTS,
    ),
    Mutant(
        "a login that has ended is used",
        KEPT_FILE,
        "if kept.since <= time.time() < kept.until:",
        "if kept.since <= time.time():",
        KEPT_TESTS,
    ),
    Mutant("a login is written for all to read", KEPT_FILE, "flags, 0o600, dir_fd", "flags, 0o644, dir_fd", KEPT_TESTS),
)

MUTANTS = (*FENCING, *ADDRESSES, *HOSTS, *PROVIDERS, *KEPT)
