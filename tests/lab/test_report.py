"""The page about a failover, without a lab: from a story that one has recorded, and from logs made up here."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cloudha.cli.main import main
from cloudha.errors import CloudhaError
from cloudha.lab import cli, faults, recorder
from cloudha.lab.failover import Cause, Failover
from cloudha.lab.plan import make_plan
from cloudha.lab.problems import LabError, NotReady
from cloudha.lab.recorder import kept, record
from cloudha.lab.recording import Item, Lane, Recording, Tone
from cloudha.lab.report import page, write_page
from cloudha.lab.state import ROOT_VARIABLE, LabState

STORY = Path(__file__).with_name("story.json")
STYLE = Path(cli.__file__).parents[1] / "templates" / "report" / "style.css"
VIP = "10.77.0.100"
CANARY = "canary-5b0e71c2"
HOSTILE = "<script>alert(1)</script>\"'&{{style}}<img src=x>"
# Elements that have no end, of those in the page.
VOID = frozenset({"meta", "br"})
# Elements that bring something in, or run it.
FORBIDDEN = frozenset({"script", "link", "img", "iframe", "object", "embed", "base", "form", "video", "audio", "image"})


class Page(HTMLParser):
    """What a browser would see: elements, their texts, and whether all of them end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[tuple[str, list[str]]] = []
        self.titles: list[list[str]] = []
        self.style = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.elements.append((tag, given))
        if tag == "svg" and "aria-label" in given:
            self.titles.append([])
        if tag == "title" and "svg" in self.open:
            self.titles[-1].append("")
        if tag == "tr":
            self.rows.append((given.get("class") or "", []))
        if tag == "td":
            self.rows[-1][1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "title" in self.open and "svg" in self.open:
            self.titles[-1][-1] += data
        elif "style" in self.open:
            self.style += data
        elif "td" in self.open and self.rows[-1][1]:
            self.rows[-1][1][-1] += data

    @property
    def table(self) -> list[list[str]]:
        """The cells of everything, in order."""
        return [cells for kind, cells in self.rows if kind and len(cells) == 4]


@pytest.fixture
def story() -> Recording:
    return Recording.from_json(STORY.read_text())


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabState:
    """A lab that is nothing but its files."""
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "labs"))
    state = LabState(tmp_path / "labs" / "paper")
    state.create(make_plan("paper", "sim", 2))
    state.control.write_text(json.dumps({"options": {"endpoint": "http://10.77.0.1:8080", "password": CANARY}}))
    monkeypatch.setattr(faults, "requests", lambda _state: [])
    return state


def command(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["lab", *map(str, arguments)])


def test_the_table_says_all_that_the_picture_shows(story: Recording) -> None:
    seen = Page(page(story))
    assert [cells[3] for cells in seen.table] == [item.text for item in story.items]
    whole = seen.titles[0]
    assert len(whole) == len(story.items)
    for item in story.items:
        assert any(item.text in title for title in whole), item
    # The closer picture shows some of the same, and nothing else.
    assert len(seen.titles) == 2
    assert 0 < len(seen.titles[1]) < len(whole)
    assert set(seen.titles[1]) <= set(whole)


def test_the_numbers_in_the_picture_are_in_the_table(story: Recording) -> None:
    text = page(story)
    numbered = [cells for cells in Page(text).table if cells[0]]
    assert [int(cells[0]) for cells in numbered] == list(range(1, len(numbered) + 1))
    assert len(numbered) > 6
    first = text.index("<svg")
    assert [int(n) for n in re.findall(r'<text y="14">(\d+)</text>', text[first : text.index("</ol>")])] == list(
        range(1, len(numbered) + 1)
    )


def test_the_story_is_told(story: Recording) -> None:
    text = page(story)
    for part in (
        "the power of node1 is cut",
        f"moved from node1 to node2. The client had no answer for {story.outage:.1f} s. Fenced: node1.",
        "At no moment did two nodes hold or answer for the address.",
        "Corosync notices the loss",
        "a new membership without node1",
        "power_off of m-0001, confirmed (stopped)",
        "node1 is fenced (reboot) by node2",
        "addresses.bind: 202",
        "first answer from node2",
    ):
        assert part in text, part
    assert sum(phase.end - phase.begin for phase in story.phases) == pytest.approx(story.phases[-1].end)


def test_it_brings_nothing_in_and_runs_nothing(story: Recording) -> None:
    text = page(story)
    seen = Page(text)
    for tag, attributes in seen.elements:
        assert tag not in FORBIDDEN
        assert not {"src", "href", "srcset", "style", "action", "xlink:href"} & set(attributes), tag
        assert not any(name.startswith("on") for name in attributes)
    assert "url(" not in seen.style
    assert "@import" not in seen.style
    assert "://" not in text
    policy = next(given["content"] for tag, given in seen.elements if given.get("http-equiv"))
    digest = base64.b64encode(hashlib.sha256(seen.style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'"
    assert len(text) < 100_000


def test_it_can_be_read_by_ear(story: Recording) -> None:
    seen = Page(page(story))
    kinds = [tag for tag, _ in seen.elements]
    assert kinds.count("h1") == 1
    assert ("html", {"lang": "en"}) in seen.elements
    pictures = [given for tag, given in seen.elements if tag == "svg" and given.get("role") == "img"]
    assert len(pictures) == 2
    assert all(given["aria-label"] for given in pictures)
    heads = [given for tag, given in seen.elements if tag == "th"]
    assert all(given.get("scope") in ("col", "row") for given in heads)
    identities = [given["id"] for _, given in seen.elements if "id" in given]
    assert len(identities) == len(set(identities))
    named = [given["aria-labelledby"] for _, given in seen.elements if "aria-labelledby" in given]
    assert set(named) <= set(identities)


def _variables(css: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", css))


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_have_contrast(theme: str) -> None:
    """4.5 to 1 (WCAG 2.2, 1.4.3), in both themes."""
    light, _, dark = STYLE.read_text().partition("@media (prefers-color-scheme: dark)")
    colours = _variables(light) if theme == "light" else _variables(dark)
    pairs = [("ink", "page"), ("soft", "page"), ("ink", "card"), ("soft", "card"), ("bad", "page"), ("bad", "card")]
    pairs += [("good", "good-bg"), ("bad", "bad-bg"), *((f"n{n}", f"n{n}-bg") for n in range(5))]
    for text, ground in pairs:
        bright, dim = sorted((_luminance(colours[text]), _luminance(colours[ground])), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= 4.5, (text, ground)


def test_two_holders_are_the_first_thing_to_see(story: Recording) -> None:
    text = page(replace(story, double_holders=("question 7 to 10.77.0.100 was answered by node1 and node2",)))
    assert "TWO HOLDERS: question 7" in text
    assert "At no moment" not in text


def test_one_that_did_not_end(story: Recording) -> None:
    text = page(replace(story, outage=None, holder="", phases=(), fenced=()))
    assert "The client still has no answer" in text
    assert "Nobody was fenced." in text
    assert len(Page(text).titles) == 1


@pytest.mark.parametrize("items", [0, 1])
def test_one_with_hardly_anything_in_it(items: int, story: Recording) -> None:
    seen = Page(page(replace(story, items=story.items[:items], phases=())))
    assert len(seen.table) == items


def test_what_a_log_holds_is_only_text(story: Recording) -> None:
    plain = Page(page(replace(story, phases=())))
    item = replace(story.items[-1], text=HOSTILE, node=HOSTILE)
    spoilt = replace(
        story,
        items=(*story.items[:-1], item),
        phases=(),
        when=HOSTILE,
        provider=HOSTILE,
        address=HOSTILE,
        victim=HOSTILE,
        holder=HOSTILE,
    )
    seen = Page(page(spoilt))
    assert [tag for tag, _ in seen.elements] == [tag for tag, _ in plain.elements]
    assert seen.style == plain.style
    assert seen.table[-1][3] == HOSTILE


def test_it_is_kept_and_read_again(story: Recording) -> None:
    assert Recording.from_json(story.to_json()) == story


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "its format is 2"),
        ({"outage": "long"}, "'long' is no number"),
        ({"outage": math.nan}, "is no number"),
        ({"items": [{"lane": "sky"}]}, "'sky' is no lane"),
        ({"items": [7]}, "7 is no object"),
        ({"nodes": "node1"}, "is no list"),
        ({"holder": None}, "None is no text"),
        (None, "it lacks 'format'"),
    ],
)
def test_something_else_is_refused(change: dict[str, Any] | None, said: str) -> None:
    document = {} if change is None else {**json.loads(STORY.read_text()), **change}
    with pytest.raises(LabError, match=said):
        Recording.from_json(json.dumps(document))
    with pytest.raises(LabError, match="no recorded failover"):
        Recording.from_json("<html>")


def test_the_verb(story: Recording, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    done = command("report", "--from", STORY, "-o", file)
    assert done.exit_code == 0, done.output
    assert f"power of node1, {len(story.items)} entries" in done.output
    assert file.read_text().startswith("<!DOCTYPE html>")
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [file]
    done = command("report", "--from", STORY, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == json.loads(STORY.read_text())


def test_the_verb_without_a_failover(paper: LabState, tmp_path: Path) -> None:
    done = command("report", "--name", paper.name, "-o", tmp_path / "x.html")
    assert done.exit_code == 1
    assert "make one with: cloudha lab failover --name paper" in done.output
    assert not (tmp_path / "x.html").exists()


def test_a_place_that_cannot_be(story: Recording, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="cannot be written: No such file"):
        write_page(story, tmp_path / "missing" / "page.html")
    (tmp_path / "folder").mkdir()
    with pytest.raises(LabError, match="cannot be written"):
        write_page(story, tmp_path / "folder")
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


class Writer:
    """Writes what the nodes, the witness and the lab would have written; times are seconds after the cause."""

    def __init__(self, state: LabState) -> None:
        self.state = state
        self.begin = time.monotonic() - 9.0
        self.wall = time.time() - 9.0

    def event(self, at: float, what: str, node: str, detail: str = "") -> None:
        line = {"at": self.begin + at, "time": 0, "what": what, "node": node, "detail": detail}
        self._line(self.state.directory / "events.jsonl", json.dumps(line))

    def answers(self, node: str, since: float, until: float) -> None:
        for number in range(int((until - since) * 20) + 1):
            at = self.begin + since + number / 20
            line = {"at": at, "asked": at, "address": VIP, "node": node, "question": int(at * 20)}
            self._line(self.state.witness_log, json.dumps(line))

    def held(self, node: str, at: float, *, now: bool) -> None:
        line = {"at": self.begin + at, "node": node, "address": VIP, "held": now}
        self._line(self.state.node(node).held, json.dumps(line))

    def pacemaker(self, node: str, at: float, daemon: str, text: str) -> None:
        self._line(self._log(node, "pacemaker/pacemaker.log"), f"{self._stamp(at)} {node} {daemon} [9] {text}")

    def corosync(self, node: str, at: float, text: str) -> None:
        self._line(self._log(node, "corosync/corosync.log"), f"{self._stamp(at)} [9] {node} corosync notice  {text}")

    def audit(self, node: str, at: float, **line: object) -> None:
        clock = self._stamp(at).partition(" ")[2].partition(" ")[2]
        self._line(self._log(node, "messages"), f"{clock} <29>cloudha[49]: {json.dumps(line)}")

    def _stamp(self, at: float) -> str:
        wall = self.wall + at
        return time.strftime("%b %d %H:%M:%S", time.localtime(wall)) + f".{int(wall % 1 * 1000):03d}"

    def _log(self, node: str, name: str) -> Path:
        file = self.state.node(node).disk / "var" / "log" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def _line(self, file: Path, text: str) -> None:
        with file.open("a") as log:
            log.write(text + "\n")


@pytest.fixture
def written(paper: LabState, monkeypatch: pytest.MonkeyPatch) -> Writer:
    """A failover as the README tells it."""
    writer = Writer(paper)
    for node in ("node1", "node2"):
        writer.event(-60, "power on", node)
    writer.event(-50, "route", "node1", VIP)
    writer.held("node1", -49.9, now=True)
    writer.answers("node1", -3, -0.03)
    writer.event(0.03, "power cut", "node1", "by hand")
    writer.event(0.05, "fault", "", f"error on {CANARY}")
    writer.corosync("node2", 0.2, "[KNET  ] link: host: 1 link: 0 is down")
    writer.corosync(
        "node2",
        1.0,
        "[TOTEM ] A processor failed, forming new configuration: token timed out (1000ms), waiting 1200ms "
        "for consensus.",
    )
    writer.corosync("node2", 2.2, "[TOTEM ] A new membership (2.d) was formed. Members left: 1")
    writer.pacemaker("node2", 2.2, "pacemaker-controld", "(x) notice: Node node1 state is now lost | nodeid=1")
    asked = "(x) notice: Requesting fencing (reboot) of node node1 | action=1 timeout=60000"
    writer.pacemaker("node2", 3.2, "pacemaker-controld", asked)
    delay = "(x) notice: Delaying 'reboot' action targeting node1 using fence for 1s | timeout=60s"
    writer.pacemaker("node2", 3.3, "pacemaker-fenced", delay)
    ended = "(x) notice: Operation 'reboot' [49] targeting node1 using fence returned 0 | call 7"
    writer.pacemaker("node2", 5.5, "pacemaker-fenced", ended)
    fenced = "(finalize_op) notice: Operation 'reboot' targeting node1 by node2 for pacemaker-controld.32@node2: OK"
    writer.pacemaker("node2", 5.5, "pacemaker-fenced", f"{fenced} (complete) | id=b520e27a")
    writer.pacemaker("node1", 5.9, "pacemaker-fenced", f"{fenced} (complete) | id=b520e27a")
    begun = "(x) notice: Requesting local execution of start operation for vip on node2 | transition_key=4"
    writer.pacemaker("node2", 5.6, "pacemaker-controld", begun)
    result = "(x) notice: Result of start operation for vip on node2: ok | CIB update 68"
    writer.pacemaker("node2", 6.0, "pacemaker-controld", result)
    writer.pacemaker("node2", 6.1, "pacemaker-controld", f"(x) notice: something else with password={CANARY}")
    change = {"agent": "fence_cloud", "action": "reboot", "what": "power_off", "target": "node1"}
    writer.audit("node2", 5.4, **change, outcome="confirmed", seconds=0.7, after=f"stopped {CANARY}")
    writer.event(5.7, "power on", "node1", "by the cloud")
    writer.event(5.8, "route", "node2", VIP)
    writer.held("node2", 5.86, now=True)
    writer.answers("node2", 5.87, 8.9)

    def requests(_state: LabState) -> list[dict[str, object]]:
        def entry(at: float, operation: str, method: str, status: int, fault: str = "") -> dict[str, object]:
            path = f"/v1/{operation}?token={CANARY}"
            when, client = writer.begin + at, "10.77.0.12"
            return {"operation": operation, "method": method, "path": path, "client": client, "time": when} | {
                "status": status,
                "fault": fault,
            }

        return [
            entry(-30, "machines.list", "GET", 200),
            entry(4.6, "machines.list", "GET", 503, "error"),
            entry(4.7, "power_off", "POST", 202),
            entry(4.8, "DescribeInstances", "POST", 200),
            entry(5.8, "addresses.bind", "POST", 0, "hang"),
            entry(5.81, "addresses.bind", "POST", 202),
        ]

    monkeypatch.setattr(faults, "requests", requests)
    return writer


def items(recording: Recording, lane: Lane) -> list[Item]:
    return [item for item in recording.items if item.lane is lane]


def test_what_everybody_wrote_down_comes_together(written: Writer) -> None:
    recording = record(written.state, Cause.POWER, written.begin, _ended())
    assert kept(written.state) == recording
    assert [(i.text, i.node) for i in items(recording, Lane.CLIENT)] == [
        ("node1 answers", "node1"),
        ("no answer for 5.9 s", ""),
        ("node2 answers", "node2"),
        ("first answer from node2", "node2"),
    ]
    assert [i.node for i in items(recording, Lane.NIC)] == ["node1", "node2"]
    first = items(recording, Lane.NIC)[0]
    assert first.end == pytest.approx(0.03), "the node lost power, and with it the address"
    assert [i.text for i in items(recording, Lane.ROUTE)] == ["to node1", "to node2"]
    assert sorted((i.node, round(i.begin)) for i in items(recording, Lane.POWER)) == [
        ("node1", -60),
        ("node1", 6),
        ("node2", -60),
    ]
    assert [i.text for i in items(recording, Lane.COROSYNC)] == [
        "the link to node1 is down",
        "no token for 1000 ms; waits 1200 ms for the others to agree",
        "a new membership without node1",
    ]
    assert [i.text for i in items(recording, Lane.PACEMAKER)] == [
        "node1 is lost",
        "asks for the fencing (reboot) of node1",
        "delays it by 1s, so that two nodes do not fence each other",
        "node1 is fenced (reboot) by node2",
    ]
    assert [(i.text, round(i.begin, 1), round(i.end or 0, 1)) for i in items(recording, Lane.AGENT)] == [
        ("fence_cloud: reboot of node1, exit code 0", 4.3, 5.5),
        ("start of vip: ok", 5.6, 6.0),
    ]
    assert [(i.text, i.tone, i.node) for i in items(recording, Lane.API)] == [
        ("machines.list: 503 (error was ordered)", Tone.BAD, "node2"),
        ("power_off: 202", Tone.CHANGE, "node2"),
        ("DescribeInstances: 200", Tone.QUIET, "node2"),
        ("addresses.bind: no answer (hang was ordered)", Tone.BAD, "node2"),
        ("addresses.bind: 202", Tone.CHANGE, "node2"),
    ]
    assert [round(phase.end, 1) for phase in recording.phases] == [2.2, 3.2, 4.3, 5.5, 5.9]


def test_no_secret_is_in_it(written: Writer, tmp_path: Path) -> None:
    recording = record(written.state, Cause.POWER, written.begin, _ended())
    assert any("***" in item.text for item in recording.items), "the canary was in what is shown, and is taken out"
    write_page(recording, tmp_path / "page.html")
    kept_text = (written.state.directory / recorder.FILE).read_text()
    for text in (recording.to_json(), kept_text, (tmp_path / "page.html").read_text()):
        assert CANARY not in text


def test_a_secret_in_a_file_is_one(written: Writer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(CANARY + "\n")
    written.state.control.write_text(json.dumps({"options": {"strange_file": str(secret), "strange": CANARY}}))

    def undeclared(_name: str) -> Any:
        raise CloudhaError("the provider is broken")

    monkeypatch.setattr(recorder, "declared", undeclared)
    recording = record(written.state, Cause.POWER, written.begin, _ended())
    assert CANARY not in recording.to_json()


def test_a_second_fencing_is_not_taken_for_an_echo_of_the_first(written: Writer) -> None:
    again = "(finalize_op) notice: Operation 'reboot' targeting node1 by node2 for pacemaker-controld.32@node2: OK"
    written.pacemaker("node2", 8.0, "pacemaker-fenced", f"{again} (complete) | id=c620e27a")
    recording = record(written.state, Cause.POWER, written.begin, _ended())
    assert sum("is fenced" in item.text for item in items(recording, Lane.PACEMAKER)) == 2


def test_a_cloud_that_does_not_answer_is_said_to(written: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_state: LabState) -> list[dict[str, object]]:
        raise LabError("the control plane does not answer")

    monkeypatch.setattr(faults, "requests", away)
    recording = record(written.state, Cause.POWER, written.begin, _ended())
    (item,) = items(recording, Lane.API)
    assert "cannot be read: the control plane does not answer" in item.text
    assert recording.phases, "they do not need it"


def _ended() -> Failover:
    return Failover(
        cause=Cause.POWER,
        victim="node1",
        holder="node2",
        outage=5.9,
        fenced=("node1",),
        double_holders=(),
        timeline=(),
    )


def test_failover_tells_it_as_a_page(written: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "failover", lambda *_: _ended())
    real = recorder.record
    monkeypatch.setattr(
        recorder, "record", lambda state, cause, _begin, story: real(state, cause, written.begin, story)
    )
    file = tmp_path / "page.html"
    done = command("failover", "--name", written.state.name, "--report", file)
    assert done.exit_code == 0, done.output
    assert f"the same as a page: {file}" in done.output
    assert "the power of node1 is cut" in file.read_text()
    assert kept(written.state).holder == "node2"


def test_a_failover_that_does_not_end_is_told_as_far_as_it_got(
    written: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(state: LabState, _cause: Cause) -> Failover:
        state.note("power cut", "node1", "by hand")
        raise NotReady("10.77.0.100 does not answer again 90 s after the power of node1")

    monkeypatch.setattr(cli, "failover", stuck)
    real = recorder.record
    monkeypatch.setattr(recorder, "record", lambda state, cause, _begin: real(state, cause, written.begin))
    file = tmp_path / "page.html"
    done = command("failover", "--name", written.state.name, "--report", file)
    assert done.exit_code == 1
    assert "does not answer again" in done.output
    assert f"how far it got: {file}" in done.output
    assert "The client still has no answer" in file.read_text()


def test_a_failover_that_never_began_is_none(paper: LabState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_state: LabState, _cause: Cause) -> Failover:
        raise NotReady("nobody answers for 10.77.0.100")

    monkeypatch.setattr(cli, "failover", nobody)
    done = command("failover", "--name", paper.name, "--report", tmp_path / "page.html")
    assert done.exit_code == 1
    assert "nobody answers" in done.output
    assert not (tmp_path / "page.html").exists()
    with pytest.raises(LabError, match="has had no failover"):
        kept(paper)


@pytest.mark.parametrize("width", [360, 1200])
def test_a_browser_shows_it_without_scrolling_sideways(width: int, story: Recording, tmp_path: Path) -> None:
    chromium, unshare = shutil.which("chromium"), shutil.which("unshare")
    if chromium is None:
        pytest.skip("chromium is not installed")
    if os.geteuid() != 0 or unshare is None:
        pytest.skip("a network of its own for the browser needs root and unshare")
    # A window is never as narrow as a phone: a frame is. The page itself runs no script, so this copy must allow it.
    measured = re.sub(r"<meta http-equiv[^>]*>", "", page(story))
    script = "<script>parent.postMessage([document.documentElement.scrollWidth, innerWidth], '*')</script>"
    (tmp_path / "page.html").write_text(measured.replace("</body>", f"{script}</body>"))
    (tmp_path / "frame.html").write_text(
        "<script>onmessage = event => { document.title = event.data.join(' ') }</script>"
        f'<iframe src="page.html" width="{width}" height="800"></iframe>'
    )
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    options += ["--virtual-time-budget=5000", "--dump-dom", f"file://{tmp_path / 'frame.html'}"]
    try:
        done = subprocess.run(
            [unshare, "--net", chromium, *options], capture_output=True, text=True, timeout=60, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip("chromium did not come up within a minute")
    found = re.search(r"<title>(\d+) (\d+)</title>", done.stdout)
    assert found, done.stderr[-2000:]
    assert int(found[1]) <= int(found[2]) == width
