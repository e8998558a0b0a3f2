"""What is typed on the second machine: from wheels to the provider of a real cloud, and to a provider of one's own."""

from __future__ import annotations

from transcript import Chapter, Step

__all__ = ["CHAPTERS"]

HERE = "/opt/cloudha/bin"
INSTALL = f"{HERE}/pip install --find-links dist 'cloudha[aws]'"
BARE = "python3 -m pip install 'cloudha[aws]'"
OWN = "cloudha-plugin-acme"

CHAPTERS = (
    Chapter(
        "The same from wheels",
        "Another machine, as fresh as the first. It gets the provider for AWS, with pip.",
        (
            Step("A fresh machine knows no packages yet.", "apt update", tool="apt", keep=1, online=True),
            Step(
                "Environments of Python, and the program that puts addresses on interfaces.",
                "apt install -y python3-venv iproute2",
                tool="apt",
                online=True,
                seconds=300,
            ),
            Step("Can the system's own Python not take it?", BARE, code=1),
            Step("So, an environment where everybody can read it.", "python3 -m venv /opt/cloudha"),
            Step("Ours from `dist/`, all else from the index.", INSTALL, tool="pip", keep=1, online=True, seconds=300),
            Step("The agents go where Pacemaker looks for them.", f"{HERE}/cloudha install"),
            Step("Does the agent answer?", "fence_cloud -o metadata | head -n 3"),
            Step("For which clouds?", f"{HERE}/cloudha providers"),
        ),
    ),
    Chapter(
        "A real cloud, before there is an account",
        "This machine has no way to any cloud.",
        (
            Step("What does AWS want to know?", f"{HERE}/cloudha describe aws"),
            Step("What must be permitted?", f"{HERE}/cloudha policy aws --kind private --nodes i-0aaa1111,i-0bbb2222"),
            Step(
                "The document, into a folder.",
                f"{HERE}/cloudha policy aws --kind private --nodes i-0aaa1111 --save rights && ls rights",
            ),
            Step("Which machines are there?", f"{HERE}/cloudha nodes --provider aws -o region=eu-west-1", code=1),
            Step("Is this one off?", "fence_cloud -o status -n i-0aaa1111 --provider aws --region eu-west-1", code=1),
            Step(
                "The example of a description is one for AWS.",
                f"{HERE}/cloudha plan --example > cluster.toml && {HERE}/cloudha plan cluster.toml",
            ),
        ),
    ),
    Chapter(
        "A provider of one's own",
        "For a cloud that has no plugin yet.",
        (
            Step("It writes a provider that works, on a small cloud of its own.", f"{HERE}/cloudha plugin new acme"),
            Step(
                "Next, it says, install it.",
                f"cd {OWN} && {HERE}/pip install -e '.[dev]'",
                tool="pip",
                keep=1,
                online=True,
                seconds=300,
            ),
            Step("And its tests, the conformance kit among them.", f"cd {OWN} && {HERE}/python -m pytest", seconds=600),
            Step("It is there.", f"{HERE}/cloudha providers"),
            Step("As the cluster would see it.", "fence_cloud -o metadata | grep -A 3 acme | head -n 8"),
        ),
    ),
    Chapter(
        "Away with this, too",
        "The agents first, then the environment.",
        (
            Step("The agents.", f"{HERE}/cloudha install --uninstall"),
            Step("The environment.", "rm -r /opt/cloudha"),
            Step("What is left?", "find /usr /etc /opt /var /run -iname '*cloudha*' -o -name fence_cloud"),
        ),
    ),
)
