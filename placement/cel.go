package placement

import (
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"
)

// Program is a compiled CEL expression over a cluster's facts. It holds no state, and any number of goroutines may
// use it.
type Program struct {
	text    string
	program cel.Program
}

// What an expression may cost: bounds that no honest selector meets, and that keep a decision over a thousand
// clusters in milliseconds.
const (
	maxExpression     = 4096 // bytes
	maxExpressionCost = 10_000
)

// CompileSelector compiles a CEL expression that says of a cluster whether it is chosen. It sees the variable
// cluster with name, region and provider (strings), zones (list of strings), labels (map of strings), ready and
// cordoned (bools) and taints (list of maps with key, value and effect), and the string functions of cel-go:
//
//	cluster.labels["env"] == "prod" && cluster.region.startsWith("eu-")
//
// The error says what is wrong and where, for people.
func CompileSelector(expression string) (*Program, error) {
	if len(expression) > maxExpression {
		return nil, fmt.Errorf("cluster expression is longer than %d bytes", maxExpression)
	}
	env, err := cel.NewEnv(
		cel.Variable("cluster", cel.MapType(cel.StringType, cel.DynType)),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(64),
		ext.Strings(ext.StringsVersion(2)),
	)
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
	program, err := env.Program(ast, cel.CostLimit(maxExpressionCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, fmt.Errorf("cluster expression: %w", err)
	}
	return &Program{text: expression, program: program}, nil
}

// String is the expression as it was written.
func (p *Program) String() string { return p.text }

// Matches evaluates the expression. An error (a key that is not there, a cost above the limit) is no match.
func (p *Program) Matches(c *Cluster) (bool, error) {
	out, _, err := p.program.Eval(map[string]any{"cluster": facts(c)})
	if err != nil {
		return false, fmt.Errorf("expression {%s} fails: %w", p.text, err)
	}
	chosen, ok := out.(types.Bool)
	if !ok {
		return false, fmt.Errorf("expression {%s} gives %s, not true or false", p.text, out.Type().TypeName())
	}
	return bool(chosen), nil
}

// facts is the variable cluster. Absent facts are empty, so an expression need not test for them; a label is not.
func facts(c *Cluster) map[string]any {
	taints := make([]map[string]string, len(c.Taints))
	for i, t := range c.Taints {
		taints[i] = map[string]string{"key": t.Key, "value": t.Value, "effect": string(t.Effect)}
	}
	labels, zones := c.Labels, c.Zones
	if labels == nil {
		labels = map[string]string{}
	}
	if zones == nil {
		zones = []string{}
	}
	return map[string]any{
		"name": c.Name, "region": c.Region, "provider": c.Provider, "zones": zones, "labels": labels,
		"taints": taints, "ready": c.Ready, "cordoned": c.Cordoned,
	}
}
