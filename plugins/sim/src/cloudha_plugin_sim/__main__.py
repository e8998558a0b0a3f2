"""``python -m cloudha_plugin_sim --listen HOST:PORT --nodes n1,n2``."""

from __future__ import annotations

import sys

from cloudha_plugin_sim.serve import main

sys.exit(main())
