"""The smallest control plane that the lab can run: no faults, no delays. For tests of the lab itself."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cloudha.lab.world import World


class StandIn:
    def __init__(self, world: World, host: str, port: int) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                verb, subject, *rest = self.path.strip("/").split("/")
                if verb == "off":
                    world.cut_power(subject)
                elif verb == "on":
                    world.give_power(subject)
                elif verb == "route":
                    world.route(ipaddress.ip_address(subject), rest[0] if rest else None)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"{}\n")

        self._endpoint = f"http://{host}:{port}"
        self._server = ThreadingHTTPServer((host, port), Handler)

    def serve(self) -> None:
        self._server.serve_forever()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def options(self) -> Mapping[str, str]:
        return {"endpoint": self._endpoint}


def make(world: World, host: str, port: int) -> StandIn:
    return StandIn(world, host, port)
