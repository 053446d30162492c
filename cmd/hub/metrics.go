package hub

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
)

// ownMetrics are those of DNS and of the reconcilers. Their registry has others, too, of the process and its libraries,
// which the API serves already.
type ownMetrics struct{}

// ownPrefixes begin the names of ownMetrics.
var ownPrefixes = []string{"hanse_", "controller_runtime_"}

// Gather implements prometheus.Gatherer.
func (ownMetrics) Gather() ([]*dto.MetricFamily, error) {
	families, err := ctrlmetrics.Registry.Gather()
	return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool {
		return !slices.ContainsFunc(ownPrefixes, func(p string) bool { return strings.HasPrefix(f.GetName(), p) })
	}), err
}

var _ prometheus.Gatherer = ownMetrics{}
