"""Writes the dashboards into this folder."""

import json
from pathlib import Path

from dashboards.grafana import documents

for _name, _document in documents().items():
    _file = Path(__file__).parent / f"{_name}.json"
    _file.write_text(json.dumps(_document, indent=2) + "\n")
