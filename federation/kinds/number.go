package kinds

import (
	"math"
	"slices"
	"sort"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// wholeNumber is a Number for an integer field; none when the field is absent, a percentage, or zero. Percentages are
// right in every member as they are.
func wholeNumber(obj map[string]any, floor int64, path ...string) []Number {
	value, is := intAt(obj, path...)
	if !is || value <= 0 {
		return nil
	}
	return []Number{{
		Key:   strings.Join(path, "."),
		Value: value,
		Floor: min(floor, value),
		set: func(obj map[string]any, share int64) error {
			return setAt(obj, share, path...)
		},
	}}
}

// quantities are Numbers for a map of resource quantities, sorted by name. A quantity is counted in a unit that
// keeps its value at or below maxUnits, so that people can read the shares: a big one loses less than a thousandth,
// downwards, so that the shares never exceed what the template allows.
func quantities(obj map[string]any, path ...string) []Number {
	var numbers []Number
	for name, value := range mapAt(obj, path...) {
		quantity, is := parseQuantity(value)
		if !is || quantity.Sign() <= 0 {
			continue
		}
		total, isMilli := quantity.Value(), false
		if hasFraction(quantity) || strings.HasSuffix(name, "cpu") {
			total, isMilli = quantity.MilliValue(), true
		}
		unit := int64(1)
		for total/unit > maxUnits && unit < math.MaxInt64>>10 {
			unit <<= 10
		}
		field := append(slices.Clone(path), name)
		numbers = append(numbers, Number{
			Key:   strings.Join(path, ".") + "[" + name + "]",
			Value: total / unit,
			set: func(obj map[string]any, share int64) error {
				part := resource.NewQuantity(share*unit, quantity.Format)
				if isMilli {
					part = resource.NewMilliQuantity(share*unit, quantity.Format)
				}
				return setAt(obj, part.String(), field...)
			},
		})
	}
	sort.Slice(numbers, func(i, j int) bool { return numbers[i].Key < numbers[j].Key })
	return numbers
}

// maxUnits keeps three digits and more of every quantity.
const maxUnits = 1 << 20

// parseQuantity reads a quantity as JSON may hold it: a string or a bare number.
func parseQuantity(value any) (resource.Quantity, bool) {
	switch v := value.(type) {
	case string:
		quantity, err := resource.ParseQuantity(v)
		return quantity, err == nil
	case int64:
		return *resource.NewQuantity(v, resource.DecimalSI), true
	case float64:
		return *resource.NewMilliQuantity(int64(v*1000), resource.DecimalSI), math.Abs(v) < 1<<43
	}
	return resource.Quantity{}, false
}

func hasFraction(quantity resource.Quantity) bool {
	return quantity.Cmp(*resource.NewQuantity(quantity.Value(), quantity.Format)) != 0
}

// fixed marks numbers that cannot change any more once an object has them.
func fixed(numbers []Number) []Number {
	for i := range numbers {
		numbers[i].Fixed = true
	}
	return numbers
}
