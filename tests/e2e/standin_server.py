"""A server of another make, as far as planner sees one: python standin_server.py PORT.

It tells vLLM's names. POST /load sets what it holds; while it holds something a SIGTERM is death
to it, as to a server that drops what it serves.
"""

import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

held = {"running": 0, "waiting": 0}
PAGE = """\
vllm:num_requests_running{{model_name="m"}} {running}
vllm:num_requests_waiting{{model_name="m"}} {waiting}
vllm:kv_cache_usage_perc{{model_name="m"}} 0.1
vllm:request_success_total{{model_name="m",finished_reason="stop"}} 5
vllm:time_to_first_token_seconds_sum{{model_name="m"}} 1
vllm:time_to_first_token_seconds_count{{model_name="m"}} 5
vllm:request_time_per_output_token_seconds_sum{{model_name="m"}} 1
vllm:request_time_per_output_token_seconds_count{{model_name="m"}} 5
vllm:request_prompt_tokens_sum{{model_name="m"}} 500
vllm:request_prompt_tokens_count{{model_name="m"}} 5
vllm:request_generation_tokens_sum{{model_name="m"}} 50
vllm:request_generation_tokens_count{{model_name="m"}} 5
"""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        known = {"/health": "", "/metrics": PAGE.format(**held)}
        self.answer(200 if self.path in known else 404, known.get(self.path, ""))

    def do_POST(self):
        held.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer(200, "")

    def answer(self, status, text):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def leave(*_):
    sys.stdout.write("dropped\n" if any(held.values()) else "left idle\n")
    sys.exit(0)


signal.signal(signal.SIGTERM, leave)
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
