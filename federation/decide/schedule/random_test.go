package schedule

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// Whatever happens, in whatever order: no copy is forgotten (decide sees to it, see checkNothingForgotten), every
// replica is somewhere or told as unplaced, and when all is over nothing is left.
func TestWhateverHappens(t *testing.T) {
	const template = "template {apiVersion: apps/v1, kind: %s, metadata: {name: web}, spec: {replicas: %d}}"
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 0))
		kind := []string{"Deployment", "StatefulSet"}[random.IntN(2)]
		w := newWorld()
		told := ""
		obey := func(format string, args ...any) {
			line := fmt.Sprintf(format, args...)
			told += line + "\n"
			if err := w.Obey(line); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
		}
		cluster := func() string { return fmt.Sprintf("c%d", random.IntN(5)) }
		obey(template, kind, random.IntN(10))
		for range 25 {
			switch random.IntN(9) {
			case 0:
				obey("cluster %s", cluster())
			case 1:
				obey("cluster %s %s", cluster(), []string{"lost", "cordoned", "lacks", "free=2"}[random.IntN(4)])
			case 2:
				obey("%s %s", []string{"leaves", "removed"}[random.IntN(2)], cluster())
			case 3:
				obey(template, kind, random.IntN(10))
			case 4:
				obey("unclaimed")
			case 5:
				obey("after %ds", random.IntN(90))
			case 6:
				obey("empty %s", cluster())
			case 7:
				obey("ready %s=%d", cluster(), random.IntN(3))
			default:
				obey("placement web clusters=%s=%d,c4=1", []string{"c0", "c1", "c2"}[random.IntN(3)], random.IntN(4))
			}
			if decided := w.decide(t); decided.spec != nil {
				checkSum(t, decided.spec)
			}
			if t.Failed() {
				t.Fatalf("seed %d, after:\n%s", seed, told)
			}
		}
		obey("gone")
		w.decide(t)
		obey("empty c0 c1 c2 c3 c4")
		if decided := w.decide(t); decided.spec != nil {
			t.Fatalf("seed %d: something is left: %safter:\n%s", seed, describe(decided), told)
		}
	}
}

// checkSum: what is placed and what is not make the wanted number.
func checkSum(t *testing.T, spec *v1alpha1.DistributionSpec) {
	t.Helper()
	if spec.Replicas == nil {
		return // leaving
	}
	sum := spec.Unplaced - spec.Surge
	for _, c := range spec.Clusters {
		if c.Replicas == nil {
			t.Errorf("%s has a share without a number", c.Name)
			continue
		}
		sum += *c.Replicas
	}
	if sum != *spec.Replicas {
		t.Errorf("%d of %d replicas are accounted for", sum, *spec.Replicas)
	}
}
