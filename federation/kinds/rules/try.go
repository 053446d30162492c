package rules

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-federation/hanse/federation/kinds"
)

// Trial is what a rule makes of an object.
type Trial struct {
	Mode kinds.Mode `json:"mode"`
	// Replicas and Ready are absent for kinds without.
	Replicas *int64           `json:"replicas,omitempty"`
	Ready    *int64           `json:"ready,omitempty"`
	Numbers  map[string]int64 `json:"numbers,omitempty"`
	// Requests of one replica.
	Requests     *kinds.Requests `json:"requests,omitempty"`
	Dependencies []string        `json:"dependencies,omitempty"`
	Follows      string          `json:"follows,omitempty"`
	Health       kinds.Health    `json:"health"`
	Message      string          `json:"message,omitempty"`
	// Error is why the object cannot be understood.
	Error string `json:"error,omitempty"`
	// Status is what the template's status would be, with the object as the only member's.
	Status map[string]any `json:"status,omitempty"`
	// Sent is what a member is sent that gets one replica less than all, or the whole.
	Sent map[string]any `json:"sent,omitempty"`
}

// Try evaluates a rule for an object as a member returns it, as if it were placed in one member whole.
func Try(rule kinds.Rule, object *unstructured.Unstructured, now time.Time) Trial {
	t := Trial{Mode: rule.Mode(object)}
	if err := rule.Check(object); err != nil {
		t.Error = err.Error()
	}
	share := kinds.Share{Cluster: "cluster"}
	if replicas, has := rule.Replicas(object); has {
		ready, _ := rule.Ready(object)
		t.Replicas, t.Ready = &replicas, &ready
		less := max(0, replicas-1)
		share.Replicas = &less
	}
	for _, n := range rule.Numbers(object) {
		if t.Numbers == nil {
			t.Numbers = map[string]int64{}
		}
		t.Numbers[n.Key] = n.Value
	}
	if requests := rule.Requests(object); requests.MilliCPU > 0 || requests.Memory > 0 || requests.Extended != nil {
		t.Requests = &requests
	}
	for _, d := range rule.Dependencies(object) {
		name := d.Kind + "/" + d.Name
		if d.Optional {
			name += " (optional)"
		}
		t.Dependencies = append(t.Dependencies, name)
	}
	if target, follows := rule.Follows(object); follows && target.Ref != nil {
		t.Follows = target.Ref.Kind + "/" + target.Ref.Name
	}
	t.Health, t.Message = rule.Health(object)
	seen := rule.Observe("cluster", object)
	seen.TemplateGeneration = object.GetGeneration()
	template := object.DeepCopy()
	delete(template.Object, "status")
	t.Status = rule.Aggregate(template, []kinds.MemberStatus{seen}, now)
	if err := rule.Unsummed(template, []kinds.MemberStatus{seen}, now); err != nil {
		t.Error = err.Error()
	}
	if sent, err := rule.Render(template, share); err != nil {
		t.Error = err.Error()
	} else {
		t.Sent = sent.Object
	}
	return t
}
