package ci

import (
	"encoding/json"
	"iter"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
)

// dashboard is the part of Grafana's format that contains the queries.
type dashboard struct {
	Panels []struct {
		ID      int
		Type    string
		Title   string
		GridPos struct{ X, Y, W, H int }
		Targets []struct {
			Expr  string
			RefID string `json:"refId"`
		}
	}
	Templating struct {
		List []struct {
			Name  string
			Query json.RawMessage
		}
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal(deployFile(t, "grafana/sluice.json"), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// grafanaVariables replace the variables of Grafana.
var grafanaVariables = strings.NewReplacer("$__rate_interval", "5m", "$__range", "3h", "$instance", ".*")

// queries yields the expressions of the panels, with names such as "Title/A".
func (d dashboard) queries() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				if !yield(p.Title+"/"+target.RefID, grafanaVariables.Replace(target.Expr)) {
					return
				}
			}
		}
	}
}

func TestGrafana_DashboardIsComplete(t *testing.T) {
	d := readDashboard(t)
	seen := make(map[int]bool)
	for i, p := range d.Panels {
		if seen[p.ID] {
			t.Errorf("panel %q: duplicate id %d", p.Title, p.ID)
		}
		seen[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q has no query", p.Title)
		}
		for _, other := range d.Panels[:i] {
			a, b := p.GridPos, other.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("panels %q and %q overlap", p.Title, other.Title)
			}
		}
	}
}

// panelTests contain the results of the panels after an hour of the given series. There is one sample per minute.
// Results are rounded to thousandths.
var panelTests = []struct {
	name   string
	series []inputSeries
	want   map[string][]string
}{
	{
		name: "up",
		series: []inputSeries{
			{`up{job="sluice", instance="ready"}`, "1x60"},
			{`sluice_ready{job="sluice", instance="ready"}`, "1x60"},
			{`up{job="sluice", instance="without Redis"}`, "1x60"},
			{`sluice_ready{job="sluice", instance="without Redis"}`, "0x60"},
			{`up{job="sluice", instance="down"}`, "1x50 0x9"},
			{`sluice_ready{job="sluice", instance="down"}`, "1x50 stale"},
			{`up{job="sluice", instance="never up"}`, "0x60"},
			{`up{job="another", instance="another"}`, "1x60"},
			{`process_start_time_seconds{job="sluice", instance="ready"}`, "600x60"},
			{`sluice_build_info{job="sluice", instance="ready", version="v1"}`, "1x60"},
		},
		want: map[string][]string{
			"Ready/A": {
				`{instance="down"} 0`, `{instance="never up"} 0`, `{instance="ready"} 1`, `{instance="without Redis"} 0`,
			},
			"Running for/A": {`{instance="ready", job="sluice", version="v1"} 3000`},
		},
	},
	{
		name: "throughput",
		series: []inputSeries{
			{`sluice_redis_reconnects_total{instance="a"}`, "0+1x60"},
			{`sluice_rejected_requests_total{instance="a", reason="unavailable"}`, "0+2x60"},
			{`sluice_rejected_requests_total{instance="a", reason="overloaded"}`, "0+3x60"},
			{`sluice_events_total{instance="a", kind="key"}`, "0+60x60"},
			{`sluice_events_total{instance="b", kind="key"}`, "0+60x60"},
			{`sluice_events_total{instance="b", kind="stream"}`, "0x60"},
			{`sluice_deliveries_total{instance="a"}`, "0+600x60"},
			{`sluice_delivered_bytes_total{instance="a"}`, "0+6000x60"},
			{`process_cpu_seconds_total{job="sluice", instance="a"}`, "0+90x60"},
		},
		want: map[string][]string{
			"Redis/A":      {`{instance="a"} 5`},
			"Redis/B":      {`{instance="a", reason="unavailable"} 10`},
			"Events in/A":  {`{kind="key"} 2`, `{kind="stream"} 0`},
			"Deliveries/A": {`{instance="a"} 10`},
			"Bytes out/A":  {`{instance="a"} 100`},
			"Processor/A":  {`{instance="a", job="sluice"} 1.5`},
		},
	},
	{
		name: "losing",
		series: []inputSeries{
			{`sluice_gaps_total{instance="a", reason="source-interrupted"}`, "0+60x60"},
			{`sluice_gaps_total{instance="b", reason="source-interrupted"}`, "0+60x60"},
			{`sluice_gaps_total{instance="a", reason="slow-consumer"}`, "7x60"}, // before the range
			{`sluice_gaps_total{instance="a", reason="history-expired"}`, "0+120x60"},
			{`sluice_gaps_total{instance="a", reason="unknown-cursor"}`, "0+60x60"},
			{`sluice_connections_opened_total{instance="a"}`, "0+600x60"},
			{`sluice_replay_reads_total{instance="a"}`, "0+300x60"},
		},
		want: map[string][]string{
			"Gaps in this range/A": {
				`{reason="history-expired"} 7200`, `{reason="slow-consumer"} 0`,
				`{reason="source-interrupted"} 7200`, `{reason="unknown-cursor"} 3600`,
			},
			"Gaps/A": {
				`{reason="history-expired"} 2`, `{reason="slow-consumer"} 0`,
				`{reason="source-interrupted"} 2`, `{reason="unknown-cursor"} 1`,
			},
			"New clients, and gaps after a reconnect/A": {`{} 10`},
			"New clients, and gaps after a reconnect/B": {`{} 3`},
			"New clients, and gaps after a reconnect/C": {`{} 5`},
		},
	},
	{
		name: "slow",
		series: []inputSeries{
			{`sluice_delivery_latency_seconds_bucket{instance="slow", le="0.1"}`, "0+50x60"},
			{`sluice_delivery_latency_seconds_bucket{instance="slow", le="1"}`, "0+100x60"},
			{`sluice_delivery_latency_seconds_bucket{instance="slow", le="+Inf"}`, "0+100x60"},
			{`sluice_delivery_latency_seconds_bucket{instance="fast", le="0.1"}`, "0+100x60"},
			{`sluice_delivery_latency_seconds_bucket{instance="fast", le="1"}`, "0+100x60"},
			{`sluice_delivery_latency_seconds_bucket{instance="fast", le="+Inf"}`, "0+100x60"},
			{`sluice_redis_lag_seconds_bucket{instance="slow", le="0.1"}`, "0+100x60"},
			{`sluice_redis_lag_seconds_bucket{instance="slow", le="+Inf"}`, "0+100x60"},
			{`sluice_stalled_connections{instance="slow"}`, "3x60"},
			{`sluice_slow_clients_total{instance="slow"}`, "0+60x60"},
			{`sluice_gaps_total{instance="slow", reason="slow-consumer"}`, "0+120x60"},
			{`sluice_gaps_total{instance="slow", reason="history-expired"}`, "0+60x60"},
		},
		want: map[string][]string{
			"Delivery latency/A": {`{instance="fast"} 0.05`, `{instance="slow"} 0.1`},
			"Delivery latency/B": {`{instance="fast"} 0.099`, `{instance="slow"} 0.982`},
			"Delivery latency/C": {`{instance="slow"} 0.099`},
			"Stalled clients/A":  {`{instance="slow"} 3`},
			"Slow clients/A":     {`{instance="slow"} 1`},
			"Slow clients/B":     {`{instance="slow", reason="slow-consumer"} 2`},
		},
	},
	{
		name: "growing",
		series: []inputSeries{
			{`sluice_connections{job="sluice", instance="connections"}`, "0+1x60"},
			{`sluice_max_connections{job="sluice", instance="connections"}`, "80x60"},
			{`sluice_topics_in_use{job="sluice", instance="connections"}`, "10x60"},
			{`sluice_max_topics{job="sluice", instance="connections"}`, "100x60"},
			{`process_open_fds{job="sluice", instance="connections"}`, "100+1x60"},
			{`process_max_fds{job="sluice", instance="connections"}`, "1000x60"},
			{`sluice_topics{job="sluice", instance="topics"}`, "100x60"},
			{`sluice_topics_in_use{job="sluice", instance="topics"}`, "30+1x60"},
			{`sluice_max_topics{job="sluice", instance="topics"}`, "100x60"},
			{`process_open_fds{job="sluice", instance="descriptors"}`, "0+1x60"},
			{`process_max_fds{job="sluice", instance="descriptors"}`, "61x60"},
			{`process_open_fds{job="another", instance="another"}`, "0+1x60"},
			{`process_max_fds{job="another", instance="another"}`, "61x60"},
			{`process_resident_memory_bytes{job="sluice", instance="connections"}`, "0+100x60"},
			{`sluice_journal_bytes{job="sluice", instance="connections"}`, "20x60"},
			{`go_gc_gomemlimit_bytes{job="sluice", instance="connections"}`, "40000x60"},
			{`go_gc_gomemlimit_bytes{job="sluice", instance="topics"}`, "9.223372036854776e+18x60"}, // no limit
			{`go_goroutines{job="sluice", instance="connections"}`, "9x60"},
		},
		want: map[string][]string{
			"Full/A":        {`{instance="connections"} 0.75`, `{instance="descriptors"} 0.984`, `{instance="topics"} 0.9`},
			"Full in/A":     {`{instance="connections"} 1200`, `{instance="descriptors"} 60`, `{instance="topics"} 600`},
			"Connections/A": {`{instance="connections", job="sluice"} 60`},
			"Connections/B": {`{instance="connections", job="sluice"} 80`},
			"Topics/A":      {`{instance="topics", job="sluice"} 100`},
			"Topics/B": {
				`{instance="connections", job="sluice"} 10`,
				`{instance="topics", job="sluice"} 90`,
			},
			"Topics/C": {
				`{instance="connections", job="sluice"} 100`,
				`{instance="topics", job="sluice"} 100`,
			},
			"Topics/D": {`{instance="connections", job="sluice"} 9`},
			"Memory/A": {`{instance="connections", job="sluice"} 6000`},
			"Memory/B": {`{instance="connections", job="sluice"} 20`},
			"Memory/C": {`{instance="connections", job="sluice"} 30000`},
			"Memory/D": {`{instance="connections", job="sluice"} 40000`},
		},
	},
	{
		name: "full, and not growing",
		series: []inputSeries{
			{`sluice_connections{instance="connections"}`, "100x60"},
			{`sluice_max_connections{instance="connections"}`, "100x60"},
			{`sluice_topics_in_use{instance="topics"}`, "100x60"},
			{`sluice_max_topics{instance="topics"}`, "100x60"},
			{`process_open_fds{job="sluice", instance="descriptors"}`, "130-1x30 100x29"}, // the limit was lowered
			{`process_max_fds{job="sluice", instance="descriptors"}`, "90x60"},
		},
		want: map[string][]string{
			"Full/A":    {`{instance="connections"} 1`, `{instance="descriptors"} 1.111`, `{instance="topics"} 1`},
			"Full in/A": {`{instance="connections"} 0`, `{instance="descriptors"} 0`, `{instance="topics"} 0`},
		},
	},
	{
		name: "half full, and not growing",
		series: []inputSeries{
			{`sluice_connections{instance="a"}`, "50x60"},
			{`sluice_max_connections{instance="a"}`, "100x60"},
			{`sluice_topics_in_use{instance="without a limit of topics"}`, "0+1x60"},
			{`process_open_fds{job="sluice", instance="without a limit of topics"}`, "50x60"},
			{`process_max_fds{job="sluice", instance="without a limit of topics"}`, "100x60"},
		},
		want: map[string][]string{
			"Full/A":    {`{instance="a"} 0.5`, `{instance="without a limit of topics"} 0.5`},
			"Full in/A": {`{instance="a"} 5e+10`, `{instance="without a limit of topics"} 5e+10`}, // "not for a year"
		},
	},
	{
		name: "empty",
		series: []inputSeries{
			{`sluice_connections{instance="a"}`, "0x60"},
			{`sluice_max_connections{instance="a"}`, "100x60"},
		},
		want: map[string][]string{
			"Ready/A":              nil,
			"Gaps in this range/A": nil,
			"Full/A":               {`{instance="a"} 0`},
			"Full in/A":            {`{instance="a"} 1e+11`},
		},
	},
	{
		name: "no gateway",
		want: map[string][]string{"Ready/A": nil, "Full/A": nil, "Full in/A": nil, "Memory/C": nil},
	},
}

// afterAnHour returns the result of an expression after an hour of the given series.
func afterAnHour(t *testing.T, series []inputSeries, expression string) []string {
	t.Helper()
	q := question{Expr: expression, EvalTime: model.Duration(time.Hour)}
	return play(t, alertTest{Interval: model.Duration(time.Minute), InputSeries: series, Questions: []question{q}}, nil, time.Minute).ask(t, q)
}

func TestGrafana_PanelResults(t *testing.T) {
	tried := make(map[string]bool)
	queries := make(map[string]string)
	for panel, expression := range readDashboard(t).queries() {
		queries[panel] = "round(" + expression + ", 0.001)"
	}
	for _, test := range panelTests {
		t.Run(test.name, func(t *testing.T) {
			for panel, want := range test.want {
				tried[panel] = true
				if got := afterAnHour(t, test.series, queries[panel]); !slices.Equal(got, want) {
					t.Errorf("%s: got %q, want %q", panel, got, want)
				}
			}
		})
	}
	for panel := range queries {
		if !tried[panel] {
			t.Errorf("no test covers the panel %s", panel)
		}
	}
}

func TestGrafana_OffersGatewayThatWasNeverUp(t *testing.T) {
	var choice []string
	for _, v := range readDashboard(t).Templating.List {
		var query struct{ Query string }
		if v.Name == "instance" && json.Unmarshal(v.Query, &query) == nil {
			choice = regexp.MustCompile(`^label_values\((.+), instance\)$`).FindStringSubmatch(query.Query)
		}
	}
	if choice == nil {
		t.Fatal("got no variable for gateways")
	}
	series := []inputSeries{{`up{job="sluice", instance="never up"}`, "0x60"}, {`up{job="another", instance="another"}`, "1x60"}}
	if got, want := afterAnHour(t, series, "group by (instance) ("+choice[1]+")"), []string{`{instance="never up"} 1`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
