"""Print what each provider here says of its own parameters, as JSON. Run by the interpreter of the environment.

The agents' metadata is one list for all providers: of a name that several have, it holds the words of the first.
"""

from __future__ import annotations

import json
import sys

from cloudha.installed import declared, installed_names

if __name__ == "__main__":
    found = {
        name: {option.name: {"text": option.help, "default": option.default or ""} for option in declared(name).options}
        for name in installed_names()
    }
    json.dump(found, sys.stdout)
