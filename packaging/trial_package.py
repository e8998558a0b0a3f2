"""What is typed on the first machine: from the Debian package to a cluster that fails over, and away again."""

from __future__ import annotations

from transcript import Chapter, Step

__all__ = ["CHAPTERS"]

ON_NODE = "cloudha lab exec node1"
CLOUD = "--options-from /srv/cloud"
DESCRIPTION = """cat > /srv/cluster.toml <<END
cluster = "lab"
provider = "sim"

[nodes]
node1 = "node1"
node2 = "node2"

[options]
endpoint = "http://10.77.0.1:8080"

[[address]]
name = "vip"
ip = "10.77.0.100"
nic = "eth0"
END"""
PARAMETERS = """cat > /srv/cloud <<END
provider=sim
endpoint=http://10.77.0.1:8080
END"""
TRACES = "find /usr /etc /opt /var /run -iname '*cloudha*' -o -name fence_cloud"

CHAPTERS = (
    Chapter(
        "The package",
        "A Debian that nobody has used. `dist/` holds the package, and that is all we bring.",
        (
            Step("Where are we?", "grep PRETTY_NAME /etc/os-release && ls dist"),
            Step("A fresh machine knows no packages yet.", "apt update", tool="apt", keep=1, online=True),
            Step(
                "The package of the simulated cloud. It recommends Pacemaker, which comes along.",
                "apt install -y ./dist/cloudha-sim_*_all.deb",
                tool="apt",
                online=True,
                seconds=400,
            ),
            Step("What has it put where, beside its own folder in `/opt`?", TRACES.replace("/opt ", "")),
            Step("Is it there?", "cloudha --version"),
            Step("What can it do?", "cloudha --help"),
            Step("For which clouds?", "cloudha providers"),
            Step("What does one of them want to know?", "cloudha describe sim"),
            Step("This minimal Debian has no manual.", "apt install -y man-db", tool="apt", online=True, seconds=200),
            Step("The agent's manual page, its beginning.", "man fence_cloud | head -n 24"),
            Step("And the other pages.", "whatis cloudha fence_cloud ocf_cloudha_floating-ip"),
            Step("Which machines are there? It cannot know which cloud is meant.", "cloudha nodes", code=2),
            Step(
                "Is this machine fit for a cluster? There is none yet, and the doctor says what it could not look at.",
                "cloudha doctor",
                code=3,
            ),
        ),
    ),
    Chapter(
        "A cluster on this machine",
        "Two nodes with the real Corosync and Pacemaker, and a simulated cloud under them; nothing is configured yet.",
        (
            Step("It says what is missing.", "cloudha lab up --no-setup", code=1),
            Step("We do as it says.", "apt-get install -y pcs", tool="apt", online=True, seconds=200),
            Step("Once more.", "cloudha lab up --no-setup"),
            Step("What have we got?", "cloudha lab status"),
        ),
    ),
    Chapter(
        "The cloud, by hand",
        "Without a cluster, machines can be switched and addresses be moved as well. The commands run on a node, since "
        "only there the simulated cloud's API can be reached. A node has a `/root` of its own, so files are in `/srv`.",
        (
            Step("The cloud's parameters, in a file that every command can be given.", PARAMETERS),
            Step("Which machines are there?", f"{ON_NODE} cloudha nodes {CLOUD}", code=1),
            Step("There could be a secret in such a file. We do as it says.", "chmod 600 /srv/cloud"),
            Step("Once more.", f"{ON_NODE} cloudha nodes {CLOUD}"),
            Step("One of them.", f"{ON_NODE} cloudha status node2 {CLOUD}"),
            Step("Who has which address?", f"{ON_NODE} cloudha ips {CLOUD}"),
            Step("What would happen?", f"{ON_NODE} cloudha off node2 --dry-run {CLOUD}"),
            Step(
                "Let it happen. It asks first, and we say y.", f"{ON_NODE} cloudha off node2 {CLOUD}", [("[y/N]", "y")]
            ),
            Step("Is it off?", f"{ON_NODE} cloudha status node2 {CLOUD}"),
            Step("On again; who knows the answer gives it.", f"{ON_NODE} cloudha on node2 --yes {CLOUD}"),
            Step("Off and on in one would be this.", f"{ON_NODE} cloudha reboot node2 --dry-run {CLOUD}", pause=10),
            Step("An address, on trial.", f"{ON_NODE} cloudha bind 10.77.0.110 --node node1 --dry-run {CLOUD}"),
            Step("Nobody loses it, so nothing is asked.", f"{ON_NODE} cloudha bind 10.77.0.110 --node node1 {CLOUD}"),
            Step(
                "The other node wants it. It is not taken from a holder just so.",
                f"{ON_NODE} cloudha bind 10.77.0.110 --node node2 --yes {CLOUD}",
                code=1,
            ),
            Step("Who has it, for a program?", f"{ON_NODE} cloudha ips 10.77.0.110 --json {CLOUD}"),
            Step("Away with it.", f"{ON_NODE} cloudha unbind 10.77.0.110 --node node1 --yes {CLOUD}"),
        ),
    ),
    Chapter(
        "The cluster, from a description",
        "node2 has come back meanwhile. Now the cluster gets fencing and an address.",
        (
            Step("What does the doctor say before?", f"{ON_NODE} cloudha doctor", pause=15, code=2),
            Step("What does a description look like?", "cloudha plan --example"),
            Step("Ours is shorter.", DESCRIPTION),
            Step("What would be typed?", "cloudha plan /srv/cluster.toml"),
            Step(
                "Let it be typed. It asks first, and we say y.",
                f"{ON_NODE} cloudha plan /srv/cluster.toml --apply",
                [("[y/N]", "y")],
            ),
            Step("What does the cluster say?", f"{ON_NODE} pcs status", pause=10),
            Step("And the doctor, now?", f"{ON_NODE} cloudha doctor"),
        ),
    ),
    Chapter(
        "A failover",
        "The power of the node that holds the address is cut. A client asks the address 20 times a second.",
        (
            Step("It happens.", "cloudha lab failover --report page.html", seconds=200),
            Step("The page has all of it, and needs nothing from elsewhere.", "ls -s --si page.html"),
            Step("The page can be had afterwards, too.", "cloudha lab report --output again.html"),
            Step("A while later all is whole again.", "cloudha lab status", pause=15),
            Step("The end.", "cloudha lab down"),
            Step(
                "All of it can be had in one command, which sets the cluster up, loses a node, and cleans up.",
                "cloudha lab demo",
                seconds=200,
            ),
        ),
    ),
    Chapter(
        "Away with it",
        "What a package brings, it takes away.",
        (
            Step("The package goes.", "apt purge -y cloudha-sim", tool="apt", online=True, seconds=200),
            Step("What is left of it?", TRACES),
        ),
    ),
)
