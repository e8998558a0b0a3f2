"""Chaos in the lab: ``python tests/chaos/campaign.py --seed 7``, as root."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parent / "harness"))

from chaos_campaign import main

if __name__ == "__main__":
    sys.exit(main())
