# Prometheus and curl against the metrics of the running program on a simulated site: promtool finds nothing wrong with page and rules, a
# real Prometheus scrapes it, knows every name of the dashboard, and sees it go.
. "$(dirname "$0")/lib"
ROOT="$HERE/../.."

# Debian's package would start a service: its files alone will do.
if ! command -v prometheus >/dev/null || ! command -v promtool >/dev/null; then
    if [ ! -x "$BUILD/prometheus/usr/bin/promtool" ]; then
        echo "interop: Prometheus into $BUILD/prometheus"
        cd "$WORK"
        apt-get download -qq prometheus 2>/dev/null || {
            if [ "$(id -u)" = 0 ]; then apt-get update -qq; else sudo apt-get update -qq; fi
            apt-get download -qq prometheus
        }
        dpkg-deb -x prometheus_*.deb "$BUILD/prometheus"
    fi
    PATH="$BUILD/prometheus/usr/bin:$PATH"
fi

promtool check rules "$ROOT/etc/monitoring/alerts.yml" >"$WORK/rules"
promtool test rules "$ROOT/tests/data/alerts_test.yml" >"$WORK/rules-test" 2>&1 || { cat "$WORK/rules-test" >&2; exit 1; }

{
    printf '[site]\nstrategy = "self-consumption"\nfuse_a = 25\nname = "%s"\n[status]\nmetrics = "127.0.0.1:9464"\n' 'A \"house\" \\ é'
    printf '[load_balancer]\ncharger_limit_a = 16\n[server]\ntcp = { listen = "127.0.0.1:1502" }\n'
    printf '[meter]\ndevice = "sax"\npoll_ms = 1000\n'
    printf '[[charger]]\nname = "wallbox"\ndevice = "abb-terra-ac"\nlink.tcp.host = "192.168.1.20"\nfallback_limit_a = 6\n'
    for k in 1 2 3; do
        printf '[[battery]]\nname = "%s"\ndevice = "sax"\nrole = "%s"\nphase = "L%s"\n' "House $k" "$([ "$k" = 1 ] && echo master || echo slave)" "$k"
        printf 'link.tcp.host = "192.168.1.1%s"\npoll_ms = 1000\n' "$k"
    done
} >"$WORK/site.toml"
start live env TMPDIR="$WORK" "$PROGRAM" simulate --live --site "$WORK/site.toml" --keep --seconds 150
live="${STARTED[-1]}"
served() { port="$(sed -n 's/^metrics = "127.0.0.1:\([0-9]*\)"$/\1/p' "$WORK"/sax-simulate-*/controller.toml)" && listens "$port"; }
until_ready "the program" served
page="http://127.0.0.1:$port/metrics"
in_control() { curl -s "$page" | grep -qx 'sax_site_state{state="run"} 1'; }
until_ready "control" in_control

curl -sS "$page" >"$WORK/page"
promtool check metrics <"$WORK/page" >"$WORK/said" 2>&1 || { cat "$WORK/said" >&2; exit 1; }
[ ! -s "$WORK/said" ] || { echo "promtool complains:" >&2; cat "$WORK/said" >&2; exit 1; }
grep -qxF 'sax_site_info{site="A \"house\" \\ é",strategy="self-consumption",balance="per-phase"} 1' "$WORK/page"
echo "metrics: $(wc -c <"$WORK/page") bytes, $(grep -vc '^#' "$WORK/page") series, served in $(curl -s -o /dev/null -w '%{time_total}' "$page") s"

# expect STATUS CURL-ARGUMENT...: what curl gets.
expect() {
    local got
    got="$(curl -s -o /dev/null --max-time 8 -w '%{http_code}' "${@:2}")" || true
    [ "$got" = "$1" ] || { echo "curl ${*:2}: expected $1, got $got" >&2; exit 1; }
}
expect 200 "$page"
expect 200 "$page?query=1"
expect 200 --http1.0 "$page"
expect 200 --head "$page"
expect 404 "http://127.0.0.1:$port/"
expect 404 "http://127.0.0.1:$port/metrics/x"
expect 405 --data 'x=1' "$page"
expect 405 --upload-file "$WORK/page" "$page"
expect 405 --request DELETE "$page"
expect 431 --header "Long: $(printf 'a%.0s' $(seq 9000))" "$page"
expect 400 --header 'Host;' --header 'Host: twice' --header 'Bad name: x' "$page"
expect 000 "https://127.0.0.1:$port/metrics"
[ "$(curl -sI "$page" | tr -d '\r' | sed -n 's/^Content-Type: //p')" = "text/plain; version=0.0.4; charset=utf-8" ]

# A real Prometheus, with the rules.
cat >"$WORK/prometheus.yml" <<END
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: ["$ROOT/etc/monitoring/alerts.yml"]
scrape_configs:
  - job_name: sax-controller
    static_configs: [{targets: ["127.0.0.1:$port"]}]
END
promtool check config "$WORK/prometheus.yml" >"$WORK/config"
api="$(free_port)"
start prometheus prometheus --config.file="$WORK/prometheus.yml" --storage.tsdb.path="$WORK/tsdb" --web.listen-address="127.0.0.1:$api"
until_ready "Prometheus" curl -sf "http://127.0.0.1:$api/-/ready"
"$PYTHON" "$HERE/metrics_check.py" "http://127.0.0.1:$api" "$ROOT/etc/monitoring/dashboard.json" up
kill "$live"
"$PYTHON" "$HERE/metrics_check.py" "http://127.0.0.1:$api" "$ROOT/etc/monitoring/dashboard.json" down
