"""Configurations as people run them, in our own words, for what puts the gate's lines into them.

{folder} has the files that they name: lay(folder) makes those.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TIMES = "    timeout connect 5s\n    timeout client 2h\n    timeout server 30s\n"


@dataclass(frozen=True)
class Case:
    name: str
    frontend: str
    text: str
    since: tuple[int, int] = (2, 2)
    #: what is taken away besides adding: HAProxy knows one inspect-delay
    replaced: tuple[str, ...] = ()


CASES = [
    Case(
        "sni_passthrough",
        "tls_in",
        f"""# TLS goes through untouched; the name in the hello chooses the servers
defaults
    mode tcp
    option tcplog
{TIMES}
frontend tls_in
    bind 127.0.0.1:7443
    tcp-request connection reject if {{ src 192.0.2.0/24 }}
    # wait for the hello
    tcp-request inspect-delay 5s
    tcp-request content accept if {{ req.ssl_hello_type 1 }}
    tcp-request content reject
    use_backend shop if {{ req.ssl_sni -i shop.example }}
    default_backend rest

backend shop
    server s1 127.0.0.1:7001
backend rest
    server r1 127.0.0.1:7002
""",
        (2, 6),
        ("    tcp-request inspect-delay 5s\n",),
    ),
    Case(
        "router_chain",
        "public",
        f"""global
  maxconn 20000
  nbthread 2
  tune.maxrewrite 8192

defaults
  maxconn 20000
  mode http
{TIMES}
frontend public
  bind 127.0.0.1:7080
  mode http
  tcp-request inspect-delay 5s
  tcp-request content accept if HTTP
  monitor-uri /_______internal_router_healthz

  # no request smuggling by a proxy header
  http-request del-header Proxy
  http-request set-header Host %[req.hdr(Host),lower]
  acl secure_redirect base,map_reg({{folder}}/redirects.map) -m found
  redirect scheme https if secure_redirect
  use_backend %[base,map_reg({{folder}}/routes.map)]
  default_backend none

frontend public_ssl
  mode tcp
  bind 127.0.0.1:7444
  tcp-request inspect-delay 5s
  tcp-request content accept if {{ req.ssl_hello_type 1 }}
  default_backend none_tcp

backend none
  mode http
  server n1 127.0.0.1:7001
backend none_tcp
  mode tcp
""",
    ),
    Case(
        "waf_by_spoe",
        "www",
        f"""global
    log 127.0.0.1:514 local0
defaults
    mode http
    log global
    option httplog
{TIMES}
frontend www
    bind 127.0.0.1:7081
    option http-buffer-request
    filter spoe engine waf config {{folder}}/waf.conf
    # what the agents said
    http-request deny if {{ var(txn.waf.code) -m int gt 0 }}
    http-request allow if {{ path_beg /static }}
    http-request set-header X-Checked 1
    default_backend app
backend app
    server a1 127.0.0.1:7001
backend agents
    mode tcp
    # no request waits for an agent that is down
    retries 0
    server agent 127.0.0.1:7009
""",
    ),
    Case(
        "peers_and_tables",
        "api",
        f"""global
    localpeer here
peers cluster
    peer here 127.0.0.1:7100
    peer there 127.0.0.1:7101
defaults
    mode http
{TIMES}
backend per_address
    stick-table type ip size 100k expire 60s store http_req_rate(10s) peers cluster
frontend api
    bind 127.0.0.1:7082
    tcp-request connection track-sc0 src table per_address
    http-request track-sc1 src table per_address
    http-request deny deny_status 429 if {{ sc_http_req_rate(1) gt 1000 }}
    use_backend fast if {{ path_beg /fast }}
    default_backend slow
backend fast
    server f1 127.0.0.1:7001
backend slow
    server s1 127.0.0.1:7002
""",
    ),
    Case(
        "chroot_and_cookies",
        "main",
        f"""global
\tlog 127.0.0.1:514 local0
\tchroot /var/lib/haproxy
\t# tabs, as Debian has them

defaults
\tmode\thttp
\toption\thttplog
\toption\tabortonclose
{TIMES}
frontend main
\tbind 127.0.0.1:7083\t# the balancer in front
\tacl old hdr(host) -i "old # shop.example"
\thttp-request return status 200 content-type text/plain string ok if {{ path /ping }}
\tredirect prefix https://shop.example if old
\tdefault_backend app

backend app
\tcookie SERVER insert indirect nocache
\tserver a1 127.0.0.1:7001 cookie a1
\tserver a2 127.0.0.1:7002 cookie a2
""",
    ),
    Case(
        "named_defaults",
        "shop",
        f"""global
    maxconn 100
defaults base
    mode http
{TIMES}
defaults web from base
    option forwardfor
    maxconn 50
defaults raw from base
    mode tcp
frontend shop from web
    bind 127.0.0.1:7084
    http-request allow if {{ src 10.0.0.0/8 }}
    default_backend app
backend app from base
    server a1 127.0.0.1:7001
listen mail from raw
    bind 127.0.0.1:7025
    server m1 127.0.0.1:7003
""",
        (2, 4),
    ),
    Case(
        "zero_warning",
        "both",
        f"""global
    zero-warning
    hard-stop-after 60s
defaults
    mode http
{TIMES}
listen both
    bind 127.0.0.1:7085
    tcp-request content reject if {{ src 192.0.2.1 }}
    monitor-uri /alive
    monitor fail if {{ nbsrv(both) lt 1 }}
    server a1 127.0.0.1:7001
""",
    ),
]

FILES = {
    "redirects.map": "^old\\.example/ 1\n",
    "routes.map": "^shop\\.example/ none\n",
    "waf.conf": "[waf]\nspoe-agent agent\n    messages ask\n    option var-prefix waf\n"
    "    timeout hello 1s\n    timeout idle 10s\n    timeout processing 1s\n"
    "    use-backend agents\nspoe-message ask\n    args path=path\n"
    "    event on-frontend-http-request\n",
}


def lay(folder: Path) -> None:
    """Makes the files that the configurations name."""
    for name, text in FILES.items():
        (folder / name).write_text(text)


def text_of(case: Case, folder: Path) -> str:
    return case.text.replace("{folder}", str(folder))
