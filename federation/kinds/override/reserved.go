package override

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// checkPointer refuses a JSON pointer (RFC 6901) to what an override must not write.
func checkPointer(pointer string) error {
	if pointer == "" {
		return fmt.Errorf("the whole object cannot be replaced")
	}
	if !strings.HasPrefix(pointer, "/") {
		return fmt.Errorf("%q is not a JSON pointer: it must begin with /", pointer)
	}
	tokens := strings.Split(pointer[1:], "/")
	for i, token := range tokens {
		if strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(token), "~") {
			return fmt.Errorf("%q is not a JSON pointer: write ~ as ~0 and / as ~1", pointer)
		}
		tokens[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
	}
	return checkTokens(tokens)
}

func checkTokens(tokens []string) error {
	switch tokens[0] {
	case "apiVersion", "kind", "status":
		return fmt.Errorf("%s cannot be overridden", tokens[0])
	case "metadata":
		return checkMetadata(tokens[1:])
	}
	return nil
}

func checkMetadata(tokens []string) error {
	if len(tokens) == 0 {
		return fmt.Errorf("metadata cannot be overridden as a whole, only its labels and annotations")
	}
	if tokens[0] != "labels" && tokens[0] != "annotations" {
		return fmt.Errorf("metadata.%s cannot be overridden, only labels and annotations", tokens[0])
	}
	if len(tokens) > 1 {
		return checkKey(tokens[1])
	}
	return nil
}

// checkKey refuses the labels and annotations by which the hub knows what it made.
func checkKey(key string) error {
	if strings.HasPrefix(key, v1alpha1.Prefix) {
		return fmt.Errorf("%q is the hub's own", key)
	}
	return nil
}

// sameReserved compares the hub's own entries of labels or annotations.
func sameReserved(before, after any) error {
	was, _ := before.(map[string]any)
	is, isMap := after.(map[string]any)
	if after != nil && !isMap {
		return fmt.Errorf("must be a map")
	}
	for _, key := range slices.Concat(keys(was), keys(is)) {
		if err := checkKey(key); err != nil && !reflect.DeepEqual(was[key], is[key]) {
			return err
		}
	}
	return nil
}

func keys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// sameJSON compares as JSON does: an absent list is an empty one to nobody but Go.
func sameJSON(a, b any) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	encodedA, errA := json.Marshal(a)
	encodedB, errB := json.Marshal(b)
	return errA == nil && errB == nil && string(encodedA) == string(encodedB)
}

func escapePointer(key string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }
