"""An apiserver of the smallest kind: TLS, HTTP/1.1 with kept connections, and `/readyz` as a file has it.

The file holds the status on its first line and the body after it. Arguments: address, port, certificate, key, file.
"""

import http.server
import ssl
import sys

address, port, certificate, key, answer = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with open(answer, encoding="ascii") as file:
            status, body = file.read().split("\n", 1)
        if self.path != "/readyz":
            status, body = "404", "404 page not found\n"
        self.send_response(int(status))
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode("ascii"))

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def finish_request(self, request, client_address):
        with context.wrap_socket(request, server_side=True) as tls:
            super().finish_request(tls, client_address)

    def handle_error(self, request, client_address):
        """A client that ends its connection is no error."""


with Server((address, int(port)), Handler) as server:
    server.serve_forever()
