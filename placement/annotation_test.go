package placement

import (
	"errors"
	"strings"
	"testing"
)

func TestParseClusters(t *testing.T) {
	cases := []struct{ text, want string }{
		{"east=2,west=1", "east=2,west=1"},
		{"east", "east=1"},
		{"*=1", "*=1"},
		{"*", "*=1"},
		{"(env=prod)=1", "(env=prod)=1"},
		{" east = 2 ,\t(env in (a, b), !x) = 3 , * ", "east=2,(env in (a,b),!x)=3,*=1"},
		{"east=0,west=2147483647", "east=0,west=2147483647"},
		{"(tier!=db)", "(tier!=db)=1"},
		{"(kubernetes.io/region=eu)=007", "(kubernetes.io/region=eu)=7"},
	}
	for _, c := range cases {
		terms, err := ParseClusters(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if got, err := FormatClusters(terms); err != nil || got != c.want {
			t.Errorf("%q: got %q (%v), want %q", c.text, got, err, c.want)
		}
	}
}

func TestParseClustersSaysWhere(t *testing.T) {
	cases := []struct {
		text    string
		at      int
		problem string
	}{
		{"", 0, "no clusters are named"},
		{"  ", 2, "a term is missing here"},
		{"east,,west", 5, "a term is missing here"},
		{"east,", 5, "a term is missing here"},
		{"east=", 5, "a weight is missing"},
		{"east=-1", 5, "the weight -1 is negative"},
		{"east=-99999999999999999999", 5, "is negative"},
		{"east=2147483648", 5, "the weight 2147483648 is above 2147483647"},
		{"east=99999999999999999999", 5, "is above 2147483647"},
		{"east=1.5", 5, `the weight "1.5" is not a whole number`},
		{"east=+1", 5, `the weight "+1" is not a whole number`},
		{"east=0x10", 5, `the weight "0x10" is not a whole number`},
		{"east=1 west=1", 7, "expected a comma"},
		{"east=1,west=2,east=3", 14, "east is given twice"},
		{"*=1,*=2", 4, "* is given twice"},
		{"(a=1,b=2)=1,(b=2,a=1)=2", 12, "(a=1,b=2) is given twice"},
		{"East=1", 0, `"East" is not a cluster name`},
		{"=1", 0, `"" is not a cluster name`},
		{"east_1", 0, `"east_1" is not a cluster name`},
		{"ea*t", 0, `"ea*t" is not a cluster name`},
		{"west,(env=prod", 5, "this parenthesis is not closed"},
		{"()", 0, "the selector is empty"},
		{"(=prod)=1", 1, "found '='"},
		{"(env=prod)1", 10, "expected a comma"},
		{strings.Repeat("a", 20000), 16384, "longer than 16384 bytes"},
	}
	for _, c := range cases {
		_, err := ParseClusters(c.text)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%.40q: got %v, want a SyntaxError", c.text, err)
			continue
		}
		if syntax.At != c.at || !strings.Contains(syntax.Problem, c.problem) {
			t.Errorf("%.40q: got %q at %d, want %q at %d", c.text, syntax.Problem, syntax.At, c.problem, c.at)
		}
	}
}

func TestFormatClustersRefusesWhatItCannotSay(t *testing.T) {
	one := int64(1)
	if _, err := FormatClusters([]Term{{Names: []string{"east"}, Max: &one}}); err == nil {
		t.Error("a maximum went unsaid")
	}
}

// FuzzParseClusters: no text breaks the parser, and what it reads it reads again after printing.
func FuzzParseClusters(f *testing.F) {
	for _, seed := range []string{"east=2,west=1", "*=1", "(env in (a,b),!x)=3", "a=1,a=2", "(", "a=99999999999", "",
		"é=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		terms, err := ParseClusters(text)
		var syntax *SyntaxError
		if err != nil {
			if !errors.As(err, &syntax) || syntax.At < 0 || syntax.At > len(text) || syntax.Problem == "" {
				t.Fatalf("%q: %#v", text, err)
			}
			return
		}
		printed, err := FormatClusters(terms)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseClusters(printed)
		if err != nil {
			t.Fatalf("%q was printed as %q: %v", text, printed, err)
		}
		if twice, _ := FormatClusters(again); twice != printed {
			t.Fatalf("%q was printed as %q, then as %q", text, printed, twice)
		}
		Decide(Input{Object: Object{HasReplicas: true, Replicas: 7}, Policy: Policy{Terms: terms},
			Clusters: []Cluster{{Name: "east", Ready: true}, {Name: "west", Ready: true}}})
	})
}

// FuzzCompileSelector: no expression breaks the engine, and none runs for long.
func FuzzCompileSelector(f *testing.F) {
	for _, seed := range []string{`cluster.labels["env"] == "prod"`, `cluster.zones.exists(z, z == "a")`, `1 + 1`,
		`cluster.taints.all(t, t.key.size() < 9)`, `"a" in cluster.labels`, `cluster.name.matches("^e.*")`, `((((`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := CompileSelector(text)
		if err != nil {
			return
		}
		if p.String() != text {
			t.Fatalf("%q became %q", text, p)
		}
		_, _ = p.Matches(&Cluster{Name: "east", Zones: []string{"a", "b"}, Labels: map[string]string{"env": "prod"},
			Taints: []Taint{{Key: "gpu", Effect: NoSchedule}}})
	})
}

func TestExpressionsAreLimited(t *testing.T) {
	zones := make([]string, 200)
	for i := range zones {
		zones[i] = strings.Repeat("z", 20)
	}
	p, err := CompileSelector("cluster.zones.all(a, cluster.zones.all(b, cluster.zones.all(c, a == b && b == c)))")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = p.Matches(&Cluster{Name: "east", Zones: zones}); err == nil || !strings.Contains(err.Error(), "cost") {
		t.Errorf("eight million comparisons: %v", err)
	}
	if _, err = CompileSelector(strings.Repeat(" ", 5000) + "true"); err == nil {
		t.Error("a very long expression was accepted")
	}
	if _, err = CompileSelector(`cluster.regoin == "eu"`); err == nil || !strings.Contains(err.Error(), "regoin") {
		t.Errorf("a misspelt fact: %v", err)
	}
}
