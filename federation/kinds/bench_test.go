package kinds

import (
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// BenchmarkDeployment: the three steps that run for every object and member.
func BenchmarkDeployment(b *testing.B) {
	text, err := os.ReadFile("testdata/judge.txt")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "--- object\n")
	body, _, _ := strings.Cut(rest, "--- verdict")
	template := object(b, body)
	rule, four := Of(template), int64(4)

	b.Run("Render", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := rule.Render(template, Share{Cluster: "east", Replicas: &four}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Trim", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			rule.Trim(&unstructured.Unstructured{Object: template.Object})
		}
	})
	b.Run("Aggregate10", func(b *testing.B) {
		members := make([]MemberStatus, 10)
		for i := range members {
			members[i] = rule.Observe(strings.Repeat("x", i+1), template)
		}
		b.ReportAllocs()
		for b.Loop() {
			rule.Aggregate(template, members, noon)
		}
	})
}
