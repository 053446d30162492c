package placement

import (
	"fmt"
	"reflect"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"

	bounded "github.com/hanse-federation/hanse/placement/expression"
)

// Program is a compiled CEL expression over a cluster's facts. It holds no state, and any number of goroutines may
// use it.
type Program struct {
	text    string
	program cel.Program
}

// maxExpressionCost is what an expression may cost: a bound that no honest selector meets, and that keeps a decision
// over a thousand clusters in milliseconds.
const maxExpressionCost = 10_000

// CompileSelector compiles a CEL expression that says of a cluster whether it is chosen. It sees the variable
// cluster with name, region and provider (strings), zones (list of strings), labels (map of strings), ready and
// cordoned (bools) and taints (each with key, value and effect), the string functions of cel-go and optional values:
//
//	cluster.labels["env"] == "prod" && cluster.region.startsWith("eu-")
//
// The error says what is wrong and where, for people.
func CompileSelector(expression string) (*Program, error) {
	if len(expression) > bounded.MaxExpression {
		return nil, fmt.Errorf("cluster expression is longer than %d bytes", bounded.MaxExpression)
	}
	options, err := bounded.Options(false,
		ext.NativeTypes(reflect.TypeFor[clusterFacts](), ext.ParseStructTags(true)),
		cel.Variable("cluster", cel.ObjectType("placement.clusterFacts")),
	)
	if err != nil {
		return nil, err
	}
	env, err := cel.NewCustomEnv(options...)
	if err != nil {
		return nil, fmt.Errorf("preparing the language of cluster expressions: %w", err)
	}
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		return nil, fmt.Errorf("cluster expression: %w", issues.Err())
	}
	if out := ast.OutputType(); !out.IsExactType(cel.BoolType) && !out.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("cluster expression must say true or false, this one gives %s", out)
	}
	program, err := env.Program(ast, bounded.ProgramOptions(maxExpressionCost)...)
	if err != nil {
		return nil, fmt.Errorf("cluster expression: %w", err)
	}
	return &Program{text: expression, program: program}, nil
}

// String is the expression as it was written.
func (p *Program) String() string { return p.text }

// Matches evaluates the expression. An error (a key that is not there, a cost above the limit) is no match.
func (p *Program) Matches(c *Cluster) (bool, error) {
	out, _, err := p.program.Eval(map[string]any{"cluster": factsOf(c)})
	if err != nil {
		return false, fmt.Errorf("expression {%s} fails: %w", p.text, err)
	}
	chosen, ok := out.(types.Bool)
	if !ok {
		return false, fmt.Errorf("expression {%s} gives %s, not true or false", p.text, out.Type().TypeName())
	}
	return bool(chosen), nil
}

// clusterFacts is the type of the variable cluster, so that a misspelt fact is found when the expression is written.
// Absent facts are empty, and an expression need not test for them; a label it must.
type clusterFacts struct {
	Name     string            `cel:"name"`
	Region   string            `cel:"region"`
	Provider string            `cel:"provider"`
	Zones    []string          `cel:"zones"`
	Labels   map[string]string `cel:"labels"`
	Taints   []taintFacts      `cel:"taints"`
	Ready    bool              `cel:"ready"`
	Cordoned bool              `cel:"cordoned"`
}

type taintFacts struct {
	Key    string `cel:"key"`
	Value  string `cel:"value"`
	Effect string `cel:"effect"`
}

func factsOf(c *Cluster) *clusterFacts {
	f := &clusterFacts{Name: c.Name, Region: c.Region, Provider: c.Provider, Zones: c.Zones, Labels: c.Labels,
		Ready: c.Ready, Cordoned: c.Cordoned}
	for _, t := range c.Taints {
		f.Taints = append(f.Taints, taintFacts{t.Key, t.Value, string(t.Effect)})
	}
	return f
}
