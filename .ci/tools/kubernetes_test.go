package ci

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// manifests are the objects of a file, by their kind.
type manifests struct {
	deployment appsv1.Deployment
	service    corev1.Service
	budget     policyv1.PodDisruptionBudget
}

// readManifests decodes an example. It fails for fields that Kubernetes does not know.
func readManifests(t *testing.T, name string) (m manifests) {
	t.Helper()
	for document := range strings.SplitSeq(string(deployFile(t, name)), "\n---\n") {
		var object metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		var into any
		switch kind := object.APIVersion + " " + object.Kind; kind {
		case "apps/v1 Deployment":
			into = &m.deployment
		case "v1 Service":
			into = &m.service
		case "policy/v1 PodDisruptionBudget":
			into = &m.budget
		default:
			t.Fatalf("unknown kind %q", kind)
		}
		if err := yaml.UnmarshalStrict([]byte(document), into); err != nil {
			t.Errorf("%s: %v", object.Kind, err)
		}
	}
	return m
}

func TestKubernetes_ManifestsAreValid(t *testing.T) {
	for _, name := range []string{"kubernetes/gateway.yaml", "kubernetes/publisher.yaml"} {
		t.Run(name, func(t *testing.T) {
			d := readManifests(t, name).deployment
			pod := d.Spec.Template
			if !maps.Equal(d.Spec.Selector.MatchLabels, pod.Labels) {
				t.Errorf("selector %v does not match the pod's labels %v", d.Spec.Selector.MatchLabels, pod.Labels)
			}
			for _, c := range pod.Spec.Containers {
				if c.Resources.Limits.Memory().IsZero() {
					t.Errorf("container %s has no memory limit", c.Name)
				}
				s := c.SecurityContext
				if s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
					t.Errorf("container %s may write to its file system or run as root", c.Name)
				}
			}
		})
	}
}

// The gateways have time for their drain, and the probes ask the paths that say what Kubernetes means.
func TestKubernetes_GatewayIsReplacedWithoutLoss(t *testing.T) {
	m := readManifests(t, "kubernetes/gateway.yaml")
	pod := m.deployment.Spec.Template
	c := pod.Spec.Containers[0]
	if grace := pod.Spec.TerminationGracePeriodSeconds; grace == nil || *grace < 25 {
		t.Error("the grace period is shorter than the drain (10 s) and the open requests (10 s)")
	}
	ports := make(map[string]int32)
	for _, p := range c.Ports {
		ports[p.Name] = p.ContainerPort
	}
	probe := func(p *corev1.Probe) string {
		if p == nil || p.HTTPGet == nil {
			return "none"
		}
		return fmt.Sprintf("%d%s", ports[p.HTTPGet.Port.String()], p.HTTPGet.Path)
	}
	if got := probe(c.ReadinessProbe); got != "4000/readyz" {
		t.Errorf("got readiness probe %s, want 4000/readyz", got)
	}
	if got := probe(c.LivenessProbe); got != "4001/healthz" {
		t.Errorf("got liveness probe %s, want 4001/healthz", got)
	}
	for what, selector := range map[string]map[string]string{"service": m.service.Spec.Selector, "budget": m.budget.Spec.Selector.MatchLabels} {
		if !maps.Equal(selector, pod.Labels) {
			t.Errorf("the %s selects %v, want %v", what, selector, pod.Labels)
		}
	}
	if target := m.service.Spec.Ports[0].TargetPort.String(); ports[target] != 4000 {
		t.Errorf("the service sends to port %q, which is %d", target, ports[target])
	}
	if m.budget.Spec.MaxUnavailable.IntValue() >= int(*m.deployment.Spec.Replicas) {
		t.Error("the budget allows that no gateway is available")
	}
}
