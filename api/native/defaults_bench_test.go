package native

import "testing"

// BenchmarkDefaulted is what serving one object costs beyond reading it.
func BenchmarkDefaulted(b *testing.B) {
	obj := parse(b, deploymentOf("", "", `{name: web, image: "web:1", ports: [{containerPort: 80}]}, {name: log, image: "log:1"}`))
	for b.Loop() {
		Defaulted(obj)
	}
}

// BenchmarkUndefaulted is what an update costs beyond that.
func BenchmarkUndefaulted(b *testing.B) {
	obj := parse(b, deploymentOf("", "", `{name: web, image: "web:1", ports: [{containerPort: 80}]}, {name: log, image: "log:1"}`))
	next := Defaulted(obj)
	for b.Loop() {
		if _, err := Undefaulted(next, obj); err != nil {
			b.Fatal(err)
		}
	}
}
