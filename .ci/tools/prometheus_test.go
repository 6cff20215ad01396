package ci

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

var promQL = parser.NewParser(parser.Options{})

// ruleFile is the format of a Prometheus rule file.
type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

type rule struct {
	Alert       string
	Expr        string
	For         model.Duration
	Labels      struct{ Severity string }
	Annotations struct{ Summary, Description string }
}

func readRules(t *testing.T) []rule {
	t.Helper()
	var r ruleFile
	decoder := yaml.NewDecoder(bytes.NewReader(deployFile(t, "prometheus/sluice.rules.yml")))
	decoder.KnownFields(true)
	if err := decoder.Decode(&r); err != nil {
		t.Fatal(err)
	}
	if len(r.Groups) != 1 {
		t.Fatalf("got %d groups of rules", len(r.Groups))
	}
	return r.Groups[0].Rules
}

// scrape returns the series that a running gateway exposes.
func scrape(t *testing.T) []labels.Labels {
	t.Helper()
	response, err := http.Get("http://" + startServer(t).admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	decoder := expfmt.NewDecoder(response.Body, expfmt.ResponseFormat(response.Header))
	options := &expfmt.DecodeOptions{Timestamp: model.Now()}
	samples := expfmt.SampleDecoder{Dec: decoder, Opts: options}
	var series []labels.Labels
	for {
		var batch model.Vector
		if samples.Decode(&batch) != nil {
			break // end of file
		}
		for _, s := range batch {
			series = append(series, ofTarget(s.Metric))
		}
	}
	// Prometheus adds this series.
	return append(series, ofTarget(model.Metric{model.MetricNameLabel: "up"}))
}

// ofTarget adds the labels of the target to a series.
func ofTarget(metric model.Metric) labels.Labels {
	b := labels.NewBuilder(labels.EmptyLabels())
	for name, value := range metric {
		b.Set(string(name), string(value))
	}
	return b.Set("job", "sluice").Set("instance", "127.0.0.1:4001").Labels()
}

func TestPrometheus_QueriedMetricsExist(t *testing.T) {
	series := scrape(t)
	if len(series) < 50 {
		t.Fatalf("got %d series", len(series))
	}
	check := func(where, expression string) {
		parsed, err := promQL.ParseExpr(expression)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
		parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
			if selector, ok := node.(*parser.VectorSelector); ok && !slices.ContainsFunc(series, func(s labels.Labels) bool {
				return !slices.ContainsFunc(selector.LabelMatchers, func(m *labels.Matcher) bool { return !m.Matches(s.Get(m.Name)) })
			}) {
				t.Errorf("%s: the gateway exposes no %s", where, selector)
			}
			return nil
		})
	}
	for _, r := range readRules(t) {
		check(r.Alert, r.Expr)
	}
	for panel, expression := range readDashboard(t).queries() {
		check(panel, expression)
	}
}

func TestPrometheus_AlertsAreComplete(t *testing.T) {
	for _, r := range readRules(t) {
		if !strings.HasPrefix(r.Alert, "Sluice") || r.Annotations.Summary == "" || r.Labels.Severity != "page" && r.Labels.Severity != "ticket" {
			t.Errorf("the alert %q is incomplete: %+v", r.Alert, r)
		}
	}
}

func TestPrometheus_ConfigurationIsValid(t *testing.T) {
	c, err := config.LoadFile(filepath.Join(deploy, "prometheus", "prometheus.yml"), false, promslog.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range c.RuleFiles {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}
