package rules

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/ext"

	bounded "github.com/hanse-federation/hanse/placement/expression"
)

// Bounds of an expression: no honest rule meets them, and a dishonest one costs a decision some milliseconds.
// maxTime is for the case that the cost misjudges a function.
const (
	maxExpressionCost = 100_000
	maxTime           = 2 * time.Second
)

// language compiles expressions.
type language struct {
	// object knows object; replicas also replicas; whole knows template, members and observedGeneration.
	object, replicas, whole *cel.Env
}

func newLanguage() (*language, error) {
	options, err := bounded.Options(true,
		cel.CrossTypeNumericComparisons(true), // a number of a JSON object may be an int or a double
		ext.Math(),
		cel.Function("condition", cel.Overload("condition_dyn_string", []*cel.Type{cel.DynType, cel.StringType},
			cel.MapType(cel.StringType, cel.StringType), cel.BinaryBinding(conditionOf))),
		cel.Function("sum", cel.Overload("sum_list", []*cel.Type{cel.ListType(cel.DynType)}, cel.IntType,
			cel.UnaryBinding(sumOf))),
	)
	if err != nil {
		return nil, err
	}
	base, err := cel.NewCustomEnv(options...)
	if err != nil {
		return nil, fmt.Errorf("preparing the language of rules: %w", err)
	}
	l := &language{}
	for env, variables := range map[**cel.Env][]cel.EnvOption{
		&l.object:   {cel.Variable("object", cel.DynType)},
		&l.replicas: {cel.Variable("object", cel.DynType), cel.Variable("replicas", cel.IntType)},
		&l.whole: {cel.Variable("template", cel.DynType), cel.Variable("members", cel.ListType(cel.DynType)),
			cel.Variable("observedGeneration", cel.IntType)},
	} {
		if *env, err = base.Extend(variables...); err != nil {
			return nil, fmt.Errorf("preparing the language of rules: %w", err)
		}
	}
	return l, nil
}

// conditionOf finds a condition of an object, or of a status: its type, status, reason and message, which are empty
// when there is none.
func conditionOf(object, kind ref.Val) ref.Val {
	found := map[string]string{"type": "", "status": "", "reason": "", "message": ""}
	conditions := field(object, "conditions")
	if status := field(object, "status"); status != nil {
		conditions = field(status, "conditions")
	}
	list, isList := conditions.(traits.Lister)
	if !isList {
		return types.NewStringStringMap(types.DefaultTypeAdapter, found)
	}
	for it := list.Iterator(); it.HasNext() == types.True; {
		c := it.Next()
		if text(field(c, "type")) != text(kind) {
			continue
		}
		for key := range found {
			found[key] = text(field(c, key))
		}
		break
	}
	return types.NewStringStringMap(types.DefaultTypeAdapter, found)
}

func field(of ref.Val, name string) ref.Val {
	m, isMap := of.(traits.Mapper)
	if !isMap {
		return nil
	}
	value, _ := m.Find(types.String(name))
	return value
}

func text(of ref.Val) string {
	s, _ := of.(types.String)
	return string(s)
}

// sumOf adds whole numbers; what is none counts as zero.
func sumOf(of ref.Val) ref.Val {
	var total types.Int
	list, isList := of.(traits.Lister)
	if !isList {
		return types.NewErr("sum: no such overload")
	}
	for it := list.Iterator(); it.HasNext() == types.True; {
		switch n := it.Next().(type) {
		case types.Int:
			total += n
		case types.Double:
			total += types.Int(n)
		}
	}
	return total
}

// expression is one compiled expression. It holds no state.
type expression struct {
	field   string
	program cel.Program
}

// compile compiles the text of a field, which must be of one of some types; nil if there is no text.
func compile(env *cel.Env, field, text string, wanted ...*cel.Type) (*expression, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > bounded.MaxExpression {
		return nil, fmt.Errorf("%s: is longer than %d bytes", field, bounded.MaxExpression)
	}
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		first := issues.Errors()[0]
		return nil, fmt.Errorf("%s: %s: %s", field, position(text, first.Location.Line(), first.Location.Column()),
			strings.TrimSuffix(first.Message, " (in container '')"))
	}
	if out := ast.OutputType(); !isOneOf(out, wanted) {
		return nil, fmt.Errorf("%s: gives %s, and must give %s", field, typeName(out), typeName(wanted[0]))
	}
	program, err := env.Program(ast,
		append(bounded.ProgramOptions(maxExpressionCost), cel.InterruptCheckFrequency(100))...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	return &expression{field: field, program: program}, nil
}

// position tells people where in an expression: cel counts lines from one and columns from zero.
func position(text string, line, column int) string {
	if strings.Contains(strings.TrimSpace(text), "\n") {
		return fmt.Sprintf("at line %d, character %d", line, column+1)
	}
	return fmt.Sprintf("at character %d", column+1)
}

func isOneOf(out *cel.Type, wanted []*cel.Type) bool {
	if out.IsExactType(cel.DynType) {
		return true
	}
	for _, w := range wanted {
		if out.IsExactType(w) || out.Kind() == w.Kind() && (w.Kind() == types.ListKind || w.Kind() == types.MapKind) {
			return true
		}
	}
	return false
}

func typeName(t *cel.Type) string {
	switch t.Kind() {
	case types.ListKind:
		return "a list"
	case types.MapKind:
		return "a map"
	case types.BoolKind:
		return "true or false"
	case types.IntKind:
		return "a whole number"
	case types.StringKind:
		return "text"
	}
	return t.String()
}

// eval gives the value in JSON types.
func (e *expression) eval(variables map[string]any) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), maxTime)
	defer cancel()
	out, _, err := e.program.ContextEval(ctx, variables)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.field, err)
	}
	value, err := plain(out)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.field, err)
	}
	return value, nil
}

func (e *expression) int(variables map[string]any) (int64, error) {
	value, err := e.eval(variables)
	if err != nil {
		return 0, err
	}
	switch n := value.(type) {
	case int64:
		return n, nil
	case float64: // a whole number of plain JSON
		if n == math.Trunc(n) && math.Abs(n) < 1<<53 {
			return int64(n), nil
		}
	}
	return 0, fmt.Errorf("%s: gives %v, not a whole number", e.field, value)
}

func (e *expression) string(variables map[string]any) (string, error) {
	value, err := e.eval(variables)
	if err != nil {
		return "", err
	}
	s, is := value.(string)
	if !is {
		return "", fmt.Errorf("%s: gives %T, not text", e.field, value)
	}
	return s, nil
}

// holds: what is asked of a field that is not there does not hold.
func (e *expression) holds(variables map[string]any) (bool, error) {
	value, err := e.eval(variables)
	if err != nil {
		if strings.Contains(err.Error(), "no such key") {
			return false, nil
		}
		return false, err
	}
	b, is := value.(bool)
	if !is {
		return false, fmt.Errorf("%s: gives %T, not true or false", e.field, value)
	}
	return b, nil
}

// plain turns a value of CEL into JSON types.
func plain(value ref.Val) (any, error) {
	switch v := value.(type) {
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return int64(v), nil
	case types.Uint:
		return int64(v), nil
	case types.Double:
		return float64(v), nil
	case types.String:
		return string(v), nil
	case types.Null:
		return nil, nil
	case *types.Optional:
		if !v.HasValue() {
			return nil, nil
		}
		return plain(v.GetValue())
	case traits.Mapper:
		return plainMap(v)
	case traits.Lister:
		list := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			element, err := plain(it.Next())
			if err != nil {
				return nil, err
			}
			list = append(list, element)
		}
		return list, nil
	case *types.Err:
		return nil, v
	}
	return nil, fmt.Errorf("a %s cannot be written in an object", value.Type().TypeName())
}

func plainMap(of traits.Mapper) (any, error) {
	m := map[string]any{}
	for it := of.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, is := key.(types.String)
		if !is {
			return nil, fmt.Errorf("a key of a map is a %s, not text", key.Type().TypeName())
		}
		value, err := plain(of.Get(key))
		if err != nil {
			return nil, err
		}
		m[string(name)] = value
	}
	return m, nil
}
