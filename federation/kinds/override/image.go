package override

import (
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// image is a container image in its parts. String puts together what parseImage took apart.
type image struct {
	registry, repository, tag, digest string
}

// parseImage takes an image apart as container runtimes do: what stands before the first slash is a registry if it
// looks like a host (a dot, a port, or localhost), otherwise a part of the repository.
func parseImage(text string) image {
	var parsed image
	rest, digest, _ := strings.Cut(text, "@")
	parsed.digest = digest
	if colon := strings.LastIndexByte(rest, ':'); colon > strings.LastIndexByte(rest, '/') {
		rest, parsed.tag = rest[:colon], rest[colon+1:]
	}
	parsed.repository = rest
	first, others, hasSlash := strings.Cut(rest, "/")
	if hasSlash && (strings.ContainsAny(first, ".:") || first == "localhost") {
		parsed.registry, parsed.repository = first, others
	}
	return parsed
}

// String is the image as one text.
func (i image) String() string {
	text := i.repository
	if i.registry != "" {
		text = i.registry + "/" + text
	}
	if i.tag != "" {
		text += ":" + i.tag
	}
	if i.digest != "" {
		text += "@" + i.digest
	}
	return text
}

// with changes the parts that are given. A tag alone drops a digest, which would otherwise win over it; a digest
// alone drops a tag, which would otherwise tell a lie.
func (i image) with(registry, repository, tag, digest string) image {
	if registry != "" {
		i.registry = registry
	}
	if repository != "" {
		i.repository = repository
	}
	if tag != "" || digest != "" {
		i.tag, i.digest = tag, digest
	}
	return i
}

// The forms of the parts, after the grammar of the OCI distribution specification. A registry may carry a path, as
// mirrors want it.
var (
	registryForm   = regexp.MustCompile(`^[a-zA-Z0-9\[][a-zA-Z0-9.:\]-]*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	repositoryForm = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagForm        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	digestForm     = regexp.MustCompile(`^[a-z0-9]+([+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]{32,}$`)
)

// imagePart is one of the parts with its name and form.
type imagePart struct {
	name, value string
	form        *regexp.Regexp
}

func imageParts(o *v1alpha1.ImageOverride) []imagePart {
	return []imagePart{
		{"registry", o.Registry, registryForm},
		{"repository", o.Repository, repositoryForm},
		{"tag", o.Tag, tagForm},
		{"digest", o.Digest, digestForm},
	}
}

func applyImage(obj target, rule *Rule, facts ClusterFacts, path *field.Path) error {
	if rule.Image == nil {
		return nil
	}
	values := make([]string, 0, 4)
	for _, part := range imageParts(rule.Image) {
		value, err := substitute(part.value, facts)
		if err != nil {
			return fmt.Errorf("%s: %w", path.Child(part.name), err)
		}
		if value != "" && !part.form.MatchString(value) {
			return fmt.Errorf("%s: %q is not the %s of an image", path.Child(part.name), value, part.name)
		}
		values = append(values, value)
	}
	return eachContainer(obj, rule.Image.Container, true, path, func(container map[string]any) error {
		old, _ := container["image"].(string)
		changed := parseImage(old).with(values[0], values[1], values[2], values[3])
		if changed.repository == "" {
			return fmt.Errorf("the container has no image to change")
		}
		container["image"] = changed.String()
		return nil
	})
}
