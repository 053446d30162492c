package placement

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Bounds of the one-line form.
const (
	maxClusters       = 16 * 1024 // bytes of text
	maxWeight   int64 = math.MaxInt32
)

// SyntaxError says where a one-line placement is wrong.
type SyntaxError struct {
	// Text is what was parsed, At the byte in it (from 0) where the trouble begins.
	Text string
	At   int
	// Problem is for people.
	Problem string
}

// Error names the position counted from 1, as editors do.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("at character %d of %q: %s", e.At+1, e.Text, e.Problem)
}

// ParseClusters reads the one-line placement of the annotation hanse.io/clusters:
//
//	east=2,west=1        names with their weights
//	east                 weight 1
//	*=1                  every cluster that no other term takes
//	(env=prod,tier!=x)=1 every cluster with these labels, as in kubectl -l
//
// Terms are separated by commas; spaces around them do not matter. Weights are 0 to 2147483647. A cluster, a selector
// or * given twice is an error. The error is a *SyntaxError.
func ParseClusters(text string) ([]Term, error) {
	p := &clustersParser{text: text, seen: map[string]bool{}}
	if len(text) > maxClusters {
		return nil, p.fail(maxClusters, "the text is longer than %d bytes", maxClusters)
	}
	var terms []Term
	for {
		t, err := p.term()
		if err != nil {
			return nil, err
		}
		terms = append(terms, t)
		p.space()
		if p.at == len(text) {
			return terms, nil
		}
		if text[p.at] != ',' {
			return nil, p.fail(p.at, "expected a comma between terms")
		}
		p.at++
	}
}

type clustersParser struct {
	text string
	at   int
	seen map[string]bool
}

func (p *clustersParser) fail(at int, format string, args ...any) error {
	return &SyntaxError{Text: p.text, At: at, Problem: fmt.Sprintf(format, args...)}
}

func (p *clustersParser) space() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\t') {
		p.at++
	}
}

// term reads one of name, * or (selector), with its weight.
func (p *clustersParser) term() (Term, error) {
	p.space()
	start := p.at
	var t Term
	var err error
	switch {
	case p.at == len(p.text) && start == 0:
		return t, p.fail(start, "no clusters are named")
	case p.at == len(p.text) || p.text[p.at] == ',':
		return t, p.fail(start, "a term is missing here")
	case p.text[p.at] == '*':
		p.at++
	case p.text[p.at] == '(':
		t.Selector, err = p.selector()
	default:
		t.Names, err = p.name()
	}
	if err != nil {
		return t, err
	}
	if what := t.what(); p.seen[what] {
		return t, p.fail(start, "%s is given twice", what)
	} else {
		p.seen[what] = true
	}
	t.Weight, err = p.weight()
	return t, err
}

func (p *clustersParser) name() ([]string, error) {
	start := p.at
	for p.at < len(p.text) && !strings.ContainsRune("=, \t(", rune(p.text[p.at])) {
		p.at++
	}
	name := p.text[start:p.at]
	if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
		return nil, p.fail(start, "%q is not a cluster name: %s", name, problems[0])
	}
	return []string{name}, nil
}

// selector reads (…) up to the matching parenthesis; label selectors nest them in "env in (a, b)".
func (p *clustersParser) selector() (labels.Selector, error) {
	start := p.at
	depth := 0
	for ; p.at < len(p.text); p.at++ {
		if p.text[p.at] == '(' {
			depth++
		}
		if p.text[p.at] == ')' {
			depth--
		}
		if depth == 0 {
			break
		}
	}
	if depth > 0 {
		return nil, p.fail(start, "this parenthesis is not closed")
	}
	inside := p.text[start+1 : p.at]
	p.at++
	s, err := labels.Parse(inside)
	if err != nil {
		return nil, p.fail(start+1, "%v", err)
	}
	if s.Empty() {
		return nil, p.fail(start, "the selector is empty; write * for every cluster")
	}
	return s, nil
}

// weight reads =number, or gives 1.
func (p *clustersParser) weight() (*int64, error) {
	weight := int64(1)
	p.space()
	if p.at == len(p.text) || p.text[p.at] != '=' {
		return &weight, nil
	}
	p.at++
	p.space()
	start := p.at
	for p.at < len(p.text) && p.text[p.at] != ',' && p.text[p.at] != ' ' && p.text[p.at] != '\t' {
		p.at++
	}
	digits := p.text[start:p.at]
	weight, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case digits == "":
		return nil, p.fail(start, "a weight is missing after the equals sign")
	case strings.HasPrefix(digits, "+") || err != nil && !isNumber(digits):
		return nil, p.fail(start, "the weight %q is not a whole number", digits)
	case weight < 0:
		return nil, p.fail(start, "the weight %s is negative", digits)
	case err != nil || weight > maxWeight:
		return nil, p.fail(start, "the weight %s is above %d", digits, maxWeight)
	}
	return &weight, nil
}

func isNumber(s string) bool {
	return strings.Trim(strings.TrimPrefix(s, "-"), "0123456789") == "" && s != "-"
}

// FormatClusters prints terms in the one-line form that ParseClusters reads; a term that it cannot say (bounds, a
// tier, an expression) is an error.
func FormatClusters(terms []Term) (string, error) {
	parts := make([]string, 0, len(terms))
	for i := range terms {
		t := &terms[i]
		if t.Min != nil || t.Max != nil || t.Tier != 0 || t.Expression != nil || t.Selector != nil && len(t.Names) > 0 {
			return "", fmt.Errorf("term %d (%s) has more than a name or selector and a weight", i+1, t.what())
		}
		weight := "=" + strconv.FormatInt(orElse(t.Weight, 1), 10)
		if len(t.Names) == 0 {
			parts = append(parts, t.what()+weight)
		}
		for _, name := range t.Names {
			parts = append(parts, name+weight)
		}
	}
	return strings.Join(parts, ","), nil
}

// String prints the term for people, as in "east=2" or "(env=prod)=1 min 1 max 10 tier 1".
func (t Term) String() string {
	s := t.what() + "=" + strconv.FormatInt(orElse(t.Weight, 1), 10)
	if t.Min != nil {
		s += " min " + strconv.FormatInt(*t.Min, 10)
	}
	if t.Max != nil {
		s += " max " + strconv.FormatInt(*t.Max, 10)
	}
	if t.Tier != 0 {
		s += " tier " + strconv.Itoa(t.Tier)
	}
	return s
}
