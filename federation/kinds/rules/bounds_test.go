package rules

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/cel-go/cel"
)

// An expression that wants much ends with an error, and takes neither time nor memory before.
func TestExpressionsAreBounded(t *testing.T) {
	long := strings.Repeat("a", 200)
	replaces := "'" + long + "'" + strings.Repeat(".replace('a','"+long+"')", 3)
	for name, text := range map[string]string{
		"chained replace":           "size(" + replaces + ") > 1",
		"replace with a limit":      "size('" + long + "'" + strings.Repeat(".replace('a','"+long+"', 1000000)", 3) + ") > 1",
		"replace of nothing":        "size('" + long + "'" + strings.Repeat(".replace('','"+long+"')", 3) + ") > 1",
		"long range":                "size(lists.range(100000000)) > 1",
		"range and join":            "size(lists.range(9999).map(i, '" + long + "').join('" + long + "')) > 1",
		"doubled text":              "size(['" + long + "']" + strings.Repeat(".map(x, x+x)", 60) + "[0]) > 1",
		"doubled list":              "size([[1]]" + strings.Repeat(".map(x, x+x)", 60) + "[0]) > 1",
		"sum of a doubled list":     "sum([[1]]" + strings.Repeat(".map(x, x+x)", 60) + "[0]) > 1",
		"equality of doubled lists": "[[1]]" + strings.Repeat(".map(x, x+x)", 60) + ".exists(x, x == x)",
		"flattened tree":            "size([lists.range(5000)].map(x, [x, x, x, x]).map(x, [x, x, x, x]).flatten(3)) > 1",
		"long precision":            "size('%.100000000f'.format([1.5])) > 1",
		"much format":               "size(['" + long + "']" + strings.Repeat(".map(x, '%s%s%s%s'.format([x,x,x,x]))", 30) + "[0]) > 1",
		"search for a long text":    "('" + long + "'" + strings.Repeat(".replace('a','"+long+"')", 1) + ").indexOf('" + long + "b') > 1",
		"distinct of many":          "size(lists.range(9999).distinct()) > 1",
		"nested loops":              "lists.range(9999).exists(a, lists.range(9999).exists(b, a + b < 0))",
		"deep list":                 "size(lists.range(9999).map(x, lists.range(9999))) > 1",
	} {
		t.Run(name, func(t *testing.T) {
			language, err := newLanguage()
			if err != nil {
				t.Fatal(err)
			}
			e, err := compile(language.object, "spec.health[0].when", text, cel.BoolType)
			if err != nil {
				t.Fatal("the test's expression is no expression: ", err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			value, err := e.eval(map[string]any{"object": map[string]any{}})
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Errorf("it gives %v, and must be refused", value)
			}
			if took > 10*maxTime { // a loaded machine
				t.Errorf("it took %v", took)
			}
			if bytes := after.TotalAlloc - before.TotalAlloc; bytes > 16<<20 {
				t.Errorf("it allocated %d MiB", bytes>>20)
			}
			t.Logf("%v, %d KiB: %v", took, (after.TotalAlloc-before.TotalAlloc)>>10, err)
		})
	}
}

// What honest rules use works as it did.
func TestBoundedFunctionsDoTheirWork(t *testing.T) {
	for text, want := range map[string]string{
		`"a-b-c".replace("-", ".")`:                                  "a.b.c",
		`"a-b-c".replace("-", ".", 1)`:                               "a.b-c",
		`"ab".replace("", "-")`:                                      "-a-b-",
		`["a", "b"].join()`:                                          "ab",
		`["a", "b"].join(", ")`:                                      "a, b",
		`"%s has %d of %.2f".format(["x", 3, 2.5])`:                  "x has 3 of 2.50",
		`["a"].map(x, x + "b")[0] + string(1 + 2)`:                   "ab3",
		`string(size([[1, 2], [3]].flatten()))`:                      "3",
		`string(size([[1, [2]], [3]].flatten(2)))`:                   "3",
		`string(lists.range(4)[3] + size([1] + [2]))`:                "5",
		`string(timestamp("2020-01-01T00:00:00Z") + duration("1s"))`: "2020-01-01T00:00:01Z",
		`string(object.size) + "x"`:                                  "7x",
	} {
		language, err := newLanguage()
		if err != nil {
			t.Fatal(err)
		}
		e, err := compile(language.object, "spec.x", text, cel.StringType)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, err := e.string(map[string]any{"object": map[string]any{"size": int64(7)}})
		if err != nil || got != want {
			t.Errorf("%s gives %q (%v), want %q", text, got, err, want)
		}
	}
}
