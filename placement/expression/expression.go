package expression

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/env"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/ext"
)

// Bounds of an expression and of the values that it makes.
const (
	// MaxExpression is the longest expression, in bytes.
	MaxExpression = 4096
	// MaxText is the longest text that an expression may make, in bytes.
	MaxText = 256 << 10
	// MaxElements is the longest list that an expression may make.
	MaxElements = 10_000

	maxDepth = 64 // of nesting, in the text and in values
)

// Options are the bounded language: the standard library of CEL, optional values and the functions of cel-go for text.
// extensions are the options of the caller; lists says whether it has the functions for lists, too.
func Options(lists bool, extensions ...cel.EnvOption) ([]cel.EnvOption, error) {
	standard := env.NewLibrarySubset().AddExcludedFunctions(env.NewFunction(operators.Add))
	options := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(standard)),
		addition(),
		cel.OptionalTypes(),
		cel.ParserExpressionSizeLimit(MaxExpression),
		cel.ParserRecursionLimit(maxDepth),
		ext.Strings(ext.StringsVersion(4)),
	}
	libraries := []cel.EnvOption{ext.Strings(ext.StringsVersion(4))}
	if lists {
		options = append(options, ext.Lists(ext.ListsVersion(3)))
		libraries = append(libraries, ext.Lists(ext.ListsVersion(3)))
	}
	original, err := cel.NewEnv(append(libraries, cel.Variable("a", cel.DynType), cel.Variable("b", cel.DynType),
		cel.Variable("c", cel.DynType), cel.Variable("d", cel.DynType))...)
	if err != nil {
		return nil, fmt.Errorf("preparing the functions of expressions: %w", err)
	}
	for _, g := range growing {
		if g.lists && !lists {
			continue
		}
		option, err := g.option(original)
		if err != nil {
			return nil, err
		}
		options = append(options, option)
	}
	return append(options, extensions...), nil
}

// ProgramOptions bound the whole evaluation to a cost.
func ProgramOptions(limit uint64) []cel.ProgramOption {
	return []cel.ProgramOption{
		cel.CostLimit(limit), cel.CostTracking(charges{}), cel.EvalOptions(cel.OptOptimize),
	}
}

// addition is + of the standard library, less what makes a value that is too large.
func addition() cel.EnvOption {
	same := func(id string, t *cel.Type) cel.FunctionOpt { return cel.Overload(id, []*cel.Type{t, t}, t) }
	return cel.Function(operators.Add,
		same("add_bytes", cel.BytesType), same("add_double", cel.DoubleType), same("add_int64", cel.IntType),
		same("add_uint64", cel.UintType), same("add_string", cel.StringType),
		same("add_list", cel.ListType(cel.TypeParamType("A"))), same("add_duration_duration", cel.DurationType),
		cel.Overload("add_duration_timestamp", []*cel.Type{cel.DurationType, cel.TimestampType}, cel.TimestampType),
		cel.Overload("add_timestamp_duration", []*cel.Type{cel.TimestampType, cel.DurationType}, cel.TimestampType),
		cel.SingletonBinaryBinding(func(left, right ref.Val) ref.Val {
			if left.Type() == right.Type() {
				if _, isList := left.(traits.Lister); isList && size(left)+size(right) > MaxElements {
					return tooLarge(operators.Add)
				}
				_, isNumber := left.(traits.Negater)
				if !isNumber && size(left)+size(right) > MaxText {
					return tooLarge(operators.Add)
				}
			}
			adder, isAdder := left.(traits.Adder)
			if !isAdder {
				return types.MaybeNoSuchOverloadErr(left)
			}
			return adder.Add(right)
		}, traits.AdderType))
}

func tooLarge(function string) ref.Val {
	if function == operators.Add {
		function = "+"
	}
	return types.NewErr("%s: the input or the result is too large; a text may have %d bytes and a list %d elements",
		function, MaxText, MaxElements)
}

// A growth is an overload whose result can be larger than its arguments, or whose work is more than reading them.
type growth struct {
	function, overload string
	lists, global      bool // of the extension for lists; no method
	arguments          []*cel.Type
	result             *cel.Type
	// fits reports whether the result is within the bounds.
	fits func(arguments []ref.Val) bool
}

var (
	texts  = cel.ListType(cel.StringType)
	anySet = cel.ListType(cel.TypeParamType("T"))
)

var growing = []growth{
	{function: "replace", overload: "string_replace_string_string", result: cel.StringType, fits: replaceFits,
		arguments: []*cel.Type{cel.StringType, cel.StringType, cel.StringType}},
	{function: "replace", overload: "string_replace_string_string_int", result: cel.StringType, fits: replaceFits,
		arguments: []*cel.Type{cel.StringType, cel.StringType, cel.StringType, cel.IntType}},
	{function: "join", overload: "list_join", result: cel.StringType, fits: joinFits, arguments: []*cel.Type{texts}},
	{function: "join", overload: "list_join_string", result: cel.StringType, fits: joinFits,
		arguments: []*cel.Type{texts, cel.StringType}},
	{function: "format", overload: "string_format", result: cel.StringType, fits: formatFits,
		arguments: []*cel.Type{cel.StringType, cel.ListType(cel.DynType)}},
	{function: "flatten", overload: "list_flatten", lists: true, fits: flattenFits,
		arguments: []*cel.Type{cel.ListType(anySet)}, result: anySet},
	{function: "flatten", overload: "list_flatten_int", lists: true, fits: flattenFits,
		arguments: []*cel.Type{cel.ListType(cel.DynType), cel.IntType}, result: cel.ListType(cel.DynType)},
	{function: "distinct", overload: "list_distinct", lists: true, fits: distinctFits,
		arguments: []*cel.Type{anySet}, result: anySet},
	{function: "indexOf", overload: "string_index_of_string", result: cel.IntType, fits: searchFits,
		arguments: []*cel.Type{cel.StringType, cel.StringType}},
	{function: "indexOf", overload: "string_index_of_string_int", result: cel.IntType, fits: searchFits,
		arguments: []*cel.Type{cel.StringType, cel.StringType, cel.IntType}},
	{function: "lastIndexOf", overload: "string_last_index_of_string", result: cel.IntType, fits: searchFits,
		arguments: []*cel.Type{cel.StringType, cel.StringType}},
	{function: "lastIndexOf", overload: "string_last_index_of_string_int", result: cel.IntType, fits: searchFits,
		arguments: []*cel.Type{cel.StringType, cel.StringType, cel.IntType}},
	{function: "lists.range", overload: "lists_range", lists: true, global: true, fits: rangeFits,
		arguments: []*cel.Type{cel.IntType}, result: cel.ListType(cel.IntType)},
}

// option replaces the overload by one that asks fits and then does what the original does.
func (g growth) option(original *cel.Env) (cel.EnvOption, error) {
	names := []string{"a", "b", "c", "d"}[:len(g.arguments)]
	text, overload := names[0]+"."+g.function+"("+strings.Join(names[1:], ", ")+")", cel.MemberOverload
	if g.global {
		text, overload = g.function+"("+strings.Join(names, ", ")+")", cel.Overload
	}
	ast, issues := original.Compile(text)
	if issues.Err() != nil {
		return nil, fmt.Errorf("preparing the function %s of expressions: %w", g.function, issues.Err())
	}
	program, err := original.Program(ast)
	if err != nil {
		return nil, fmt.Errorf("preparing the function %s of expressions: %w", g.function, err)
	}
	run := func(arguments ...ref.Val) ref.Val {
		if !g.fits(arguments) {
			return tooLarge(g.function)
		}
		variables := map[string]any{}
		for i, a := range arguments {
			variables[names[i]] = a
		}
		out, _, err := program.Eval(variables)
		if err != nil {
			return types.WrapErr(err)
		}
		return out
	}
	binding := cel.FunctionBinding(run)
	switch len(g.arguments) {
	case 1:
		binding = cel.UnaryBinding(func(a ref.Val) ref.Val { return run(a) })
	case 2:
		binding = cel.BinaryBinding(func(a, b ref.Val) ref.Val { return run(a, b) })
	}
	return cel.Function(g.function, overload(g.overload, g.arguments, g.result, binding)), nil
}

func replaceFits(a []ref.Val) bool {
	from, isText := a[1].(types.String)
	if !isText {
		return true // the function itself refuses it
	}
	text, _ := a[0].(types.String)
	times := strings.Count(string(text), string(from))
	if len(a) > 3 {
		if limit, isInt := a[3].(types.Int); isInt && limit >= 0 {
			times = int(min(int64(times), int64(limit)))
		}
	}
	return len(text)+times*(size(a[2])-len(from)) <= MaxText
}

func joinFits(a []ref.Val) bool {
	separator := 0
	if len(a) > 1 {
		separator = size(a[1])
	}
	total := 0
	list, _ := a[0].(traits.Lister)
	for it := list.Iterator(); it.HasNext() == types.True && total <= MaxText; {
		total += size(it.Next()) + separator
	}
	return total <= MaxText
}

// longPrecision is a precision that makes a number of many digits.
var longPrecision = regexp.MustCompile(`%\.\d{3,}`)

func formatFits(a []ref.Val) bool {
	text, _ := a[0].(types.String)
	// Each verb writes one argument, at most eight bytes for a byte (%b), and hundreds for a number.
	return !longPrecision.MatchString(string(text)) &&
		len(text)+8*weight(a[1], MaxText, 0)+512*strings.Count(string(text), "%") <= 2*MaxText
}

func flattenFits(a []ref.Val) bool { return weight(a[0], MaxElements, 0) <= MaxElements }

// distinctFits: distinct compares each element with each other.
func distinctFits(a []ref.Val) bool {
	return size(a[0]) <= 1000 && weight(a[0], MaxElements, 0) <= MaxElements
}

// searchFits: a search compares at each place.
func searchFits(a []ref.Val) bool { return size(a[0])*size(a[1]) <= 16*MaxText }

func rangeFits(a []ref.Val) bool {
	n, isInt := a[0].(types.Int)
	return !isInt || n <= MaxElements
}

// size is the number of bytes of a text and of elements of a list or map; 0 for all else.
func size(v ref.Val) int {
	switch v := v.(type) {
	case types.String:
		return len(v)
	case types.Bytes:
		return len(v)
	case traits.Sizer:
		if n, isInt := v.Size().(types.Int); isInt {
			return int(n)
		}
	}
	return 0
}

// weight is the number of values in a value and the bytes of its texts; it stops counting above a bound.
func weight(v ref.Val, bound, depth int) int {
	if depth > maxDepth {
		return bound + 1
	}
	total := 1
	switch v := v.(type) {
	case traits.Mapper:
		for it := v.Iterator(); it.HasNext() == types.True && total <= bound; {
			key := it.Next()
			total += size(key) + weight(v.Get(key), bound-total, depth+1)
		}
	case traits.Lister:
		for it := v.Iterator(); it.HasNext() == types.True && total <= bound; {
			total += weight(it.Next(), bound-total, depth+1)
		}
	default:
		total += size(v)
	}
	return total
}

// charges say what a call cost. cel-go itself charges the functions of the standard library.
type charges struct{}

// quadratic functions compare elements with one another.
var quadratic = map[string]bool{"distinct": true, "sort": true, "@sortByAssociatedKeys": true, "indexOf": true,
	"lastIndexOf": true, "replace": true}

// linear functions read their arguments once.
var linear = map[string]bool{"charAt": true, "lowerAscii": true, "upperAscii": true, "split": true, "substring": true,
	"trim": true, "format": true, "strings.quote": true, "join": true, "reverse": true, "slice": true, "flatten": true,
	"lists.range": true, "first": true, "last": true, "sum": true, "condition": true, "math.@min": true,
	"math.@max": true}

// CallCost implements interpreter.ActualCostEstimator.
func (charges) CallCost(function, _ string, arguments []ref.Val, result ref.Val) *uint64 {
	const most = 1 << 20 // above every limit
	if !linear[function] && !quadratic[function] {
		return nil
	}
	cost := uint64(1 + weight(result, most, 0)/10)
	product := uint64(1)
	for i, a := range arguments {
		read := uint64(weight(a, most, 0))
		cost += read / 10
		if i == 0 && len(arguments) == 1 {
			product = read * read
		} else if i < 2 {
			product *= read
		}
	}
	if quadratic[function] && function != "replace" {
		cost += product / 100
	}
	return &cost
}
