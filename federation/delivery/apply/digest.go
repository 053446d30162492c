package apply

import (
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// maxDigest bounds the paths in a digest, so that it is about 1.4 KB of annotation at most. An object with more of
// them, such as a CustomResourceDefinition, carries none, and all its fields count as set before.
const maxDigest = 512

// digest is the set of field paths that we set in an object, each as a 16-bit hash. A list's elements share one path,
// as only the member's schema knows what tells them apart. Both make the digest err only towards "set before".
type digest struct {
	known bool
	paths []uint16 // sorted, no duplicates
}

// digestFields takes the paths of the rendered object.
func digestFields(obj *unstructured.Unstructured) digest {
	d := digest{known: true}
	for key, value := range obj.Object {
		switch key {
		case "apiVersion", "kind", "status":
		default:
			d.collect("."+key, value)
		}
	}
	slices.Sort(d.paths)
	d.paths = slices.Compact(d.paths)
	if len(d.paths) > maxDigest {
		return digest{}
	}
	return d
}

func (d *digest) collect(path string, value any) {
	d.paths = append(d.paths, hashPath(path))
	switch value := value.(type) {
	case map[string]any:
		for key, child := range value {
			d.collect(path+"."+key, child)
		}
	case []any:
		for _, child := range value {
			if _, isList := child.([]any); isList {
				continue
			}
			if fields, isMap := child.(map[string]any); isMap {
				for key, grandchild := range fields {
					d.collect(path+"."+key, grandchild)
				}
			}
		}
	}
}

// digestOf reads the digest that the object carries. One without it, or with one that cannot be read, is unknown.
func digestOf(live *unstructured.Unstructured) digest {
	text, ok := live.GetAnnotations()[AnnotationFields]
	if !ok {
		return digest{}
	}
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(raw)%2 != 0 {
		return digest{}
	}
	d := digest{known: true}
	for ; len(raw) > 0; raw = raw[2:] {
		d.paths = append(d.paths, binary.BigEndian.Uint16(raw))
	}
	slices.Sort(d.paths)
	return d
}

func (d digest) String() string {
	var raw []byte
	for _, p := range d.paths {
		raw = binary.BigEndian.AppendUint16(raw, p)
	}
	return base64.RawStdEncoding.EncodeToString(raw)
}

// hasAll reports whether every field was set before. In an unknown digest, every field is. Our own marks always are.
func (d digest) hasAll(fields []fieldConflict) bool {
	if !d.known {
		return true
	}
	for _, f := range fields {
		path := withoutSelectors(f.path)
		if isMarkPath(path) {
			continue
		}
		if _, found := slices.BinarySearch(d.paths, hashPath(path)); !found {
			return false
		}
	}
	return true
}

// without are the paths that another digest has not; none if either is unknown.
func (d digest) without(other digest) []uint16 {
	if !d.known || !other.known {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(d.paths), func(path uint16) bool {
		_, has := slices.BinarySearch(other.paths, path)
		return has
	})
}

func isMarkPath(path string) bool {
	return strings.HasPrefix(path, ".metadata.labels."+LabelHub) ||
		strings.HasPrefix(path, ".metadata.annotations.hanse.io/")
}

func hashPath(path string) uint16 {
	h := fnv.New32a()
	h.Write([]byte(path))
	sum := h.Sum32()
	return uint16(sum>>16) ^ uint16(sum)
}

// withoutSelectors turns the server's .spec.containers[name="app"].image into .spec.containers.image. A selector may
// hold any text in quotes.
func withoutSelectors(path string) string {
	var out strings.Builder
	inSelector, inQuotes := false, false
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case inQuotes:
			if c == '\\' {
				i++
			} else if c == '"' {
				inQuotes = false
			}
		case inSelector && c == '"':
			inQuotes = true
		case inSelector && c == ']':
			inSelector = false
		case inSelector:
		case c == '[':
			inSelector = true
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}
