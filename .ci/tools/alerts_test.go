package ci

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"go.yaml.in/yaml/v3"
)

// alertTests is the part of the format of "promtool test rules" that the tests of the alerts use. Go runs them,
// because promtool is slow to build and the Debian package of promtool starts a Prometheus server.
type alertTests struct {
	RuleFiles          []string       `yaml:"rule_files"`
	EvaluationInterval model.Duration `yaml:"evaluation_interval"`
	Tests              []alertTest
}

type alertTest struct {
	Name        string
	Interval    model.Duration
	InputSeries []inputSeries `yaml:"input_series"`
	Questions   []question    `yaml:"promql_expr_test"`
}

type inputSeries struct{ Series, Values string }

type question struct {
	Expr     string
	EvalTime model.Duration `yaml:"eval_time"`
	Want     []sample       `yaml:"exp_samples"`
}

type sample struct {
	Labels string
	Value  float64
}

// Each alert must fire in its own case and not in a similar one.
func TestPrometheus_AlertsFire(t *testing.T) {
	var file alertTests
	decoder := yaml.NewDecoder(bytes.NewReader(deployFile(t, "prometheus/sluice.rules.test.yml")))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	for i, name := range file.RuleFiles {
		file.RuleFiles[i] = filepath.Join(deploy, "prometheus", name)
	}
	tried := ""
	for _, test := range file.Tests {
		for _, q := range test.Questions {
			tried += q.Expr
		}
		t.Run(test.Name, func(t *testing.T) {
			history := play(t, test, file.RuleFiles, time.Duration(file.EvaluationInterval))
			for _, q := range test.Questions {
				if got, want := history.ask(t, q), q.want(t); !slices.Equal(got, want) {
					t.Errorf("%s after %s: got %q, want %q", q.Expr, q.EvalTime, got, want)
				}
			}
		})
	}
	for _, r := range readRules(t) {
		if !strings.Contains(tried, `"`+r.Alert+`"`) {
			t.Errorf("no test covers the alert %s", r.Alert)
		}
	}
}

// history is the series of a test and the series that the rules have added.
type history struct{ *promqltest.LazyLoader }

// play applies the rules to the series of a test as often as Prometheus does.
func play(t *testing.T, test alertTest, ruleFiles []string, every time.Duration) history {
	t.Helper()
	h := loadSeries(t, test)
	groups := h.groups(t, ruleFiles, every)
	var end time.Duration
	for _, q := range test.Questions {
		end = max(end, time.Duration(q.EvalTime))
	}
	for at := time.Unix(0, 0); !at.After(time.Unix(0, 0).Add(end)); at = at.Add(every) {
		h.WithSamplesTill(at, func(err error) {
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range groups {
				g.Eval(h.Context(), at)
			}
		})
	}
	for _, g := range groups {
		for _, r := range g.Rules() {
			if err := r.LastError(); err != nil {
				t.Errorf("%s: %v", r.Name(), err)
			}
		}
	}
	return h
}

func loadSeries(t *testing.T, test alertTest) history {
	t.Helper()
	var series strings.Builder
	fmt.Fprintf(&series, "load %s\n", test.Interval)
	for _, s := range test.InputSeries {
		fmt.Fprintf(&series, "  %s %s\n", s.Series, s.Values)
	}
	loader, err := promqltest.NewLazyLoader(series.String(), promqltest.LazyLoaderOpts{EnableAtModifier: true, EnableNegativeOffset: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { loader.Close() })
	return history{loader}
}

// groups loads the rules.
func (h history) groups(t *testing.T, files []string, every time.Duration) map[string]*rules.Group {
	t.Helper()
	h.SubqueryInterval = every
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc:  rules.EngineQueryFunc(h.QueryEngine(), h.Storage()),
		Appendable: h.Storage(),
		Context:    t.Context(),
		NotifyFunc: func(context.Context, string, ...*rules.Alert) {},
		Logger:     promslog.NewNopLogger(),
		Parser:     promQL,
	})
	groups, errs := manager.LoadGroups(every, labels.EmptyLabels(), "", nil, false, files...)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for _, g := range groups {
		for _, r := range g.Rules() {
			r.(*rules.AlertingRule).SetRestored(true) // otherwise it writes no series ALERTS
		}
	}
	return groups
}

// ask returns the result of an expression as sorted strings.
func (h history) ask(t *testing.T, q question) []string {
	t.Helper()
	query, err := h.QueryEngine().NewInstantQuery(t.Context(), h.Queryable(), nil, q.Expr, time.Unix(0, 0).Add(time.Duration(q.EvalTime)))
	if err != nil {
		t.Fatal(err)
	}
	defer query.Close()
	result := query.Exec(t.Context())
	vector, err := result.Vector()
	if err != nil {
		t.Fatalf("%s: %v", q.Expr, err)
	}
	var got []string
	for _, s := range vector {
		got = append(got, text(s))
	}
	slices.Sort(got)
	return got
}

// want returns the wanted result in the format of [history.ask].
func (q question) want(t *testing.T) []string {
	t.Helper()
	var want []string
	for _, s := range q.Want {
		metric, err := promQL.ParseMetric(s.Labels)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, text(promql.Sample{Metric: metric, F: s.Value}))
	}
	slices.Sort(want)
	return want
}

func text(s promql.Sample) string {
	return fmt.Sprintf("%s %v", s.Metric, s.F)
}
