package server

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/controller/openapi/builder"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/kube-openapi/pkg/handler"
	"k8s.io/kube-openapi/pkg/handler3"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/hanse-federation/hanse/api/native"
)

var (
	//go:embed zz_openapi_v2.json.gz
	nativeV2 []byte
	//go:embed zz_openapi_v3.zip
	nativeV3 []byte
)

// openapi serves the schemas of all kinds. The native ones are Kubernetes' own documents, kept packed and handed out
// as they are; only those of custom kinds are computed. The library's service keeps all of them parsed, which costs
// tens of megabytes from the first request on.
type openapi struct {
	native map[string]*zip.File // by name in URLs, "apis/apps/v1"

	mu     sync.Mutex
	crds   []*apiextensionsv1.CustomResourceDefinition // served ones, sorted
	custom map[string]document                         // v3 documents built since crds changed
	v2     *document                                   // nil when crds changed since
	// questions are the names of definitions of kinds that can only be created.
	questions map[string]bool
}

// document is one OpenAPI document, as JSON, with the name of its content.
type document struct {
	body []byte
	etag string
	made time.Time
}

func newDocument(body []byte) document {
	sum := sha256.Sum256(body)
	return document{body: body, etag: hex.EncodeToString(sum[:16]), made: time.Now()}
}

func newOpenAPI() *openapi {
	archive, err := zip.NewReader(bytes.NewReader(nativeV3), int64(len(nativeV3)))
	if err != nil {
		panic(fmt.Sprintf("the embedded OpenAPI documents are damaged: %v", err)) // a broken build, not bad input
	}
	o := &openapi{native: map[string]*zip.File{}, questions: map[string]bool{}}
	for _, file := range archive.File {
		o.native[file.Name] = file
	}
	return o
}

// setCustom replaces the kinds that CRDs define; those of the questions stay.
func (o *openapi) setCustom(crds []*apiextensionsv1.CustomResourceDefinition, questions []Review) {
	all := slices.Clone(crds)
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, q := range questions {
		if q.Definition != nil {
			all = append(all, q.Definition)
			o.questions[q.Definition.Name] = true
		}
	}
	o.crds, o.custom, o.v2 = all, map[string]document{}, nil
}

// serveIndex answers /openapi/v3: where the document of each group version is.
func (o *openapi) serveIndex(w http.ResponseWriter, req *http.Request) {
	index := handler3.OpenAPIV3Discovery{Paths: map[string]handler3.OpenAPIV3DiscoveryGroupVersion{}}
	add := func(name, etag string) {
		index.Paths[name] = handler3.OpenAPIV3DiscoveryGroupVersion{
			ServerRelativeURL: "/openapi/v3/" + name + "?hash=" + url.QueryEscape(etag),
		}
	}
	o.mu.Lock()
	custom := o.customNames()
	for name, file := range o.native {
		if !custom[name] {
			add(name, nativeEtag(file))
		}
	}
	for name := range custom {
		doc, err := o.customDocument(name)
		if err != nil {
			continue // one broken schema must not hide all others
		}
		add(name, doc.etag)
	}
	o.mu.Unlock()
	body, err := json.Marshal(index)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	serveDocument(w, req, newDocument(body), "application/json")
}

// nativeEtag names the content of a packed document by the checksum that stands in the archive.
func nativeEtag(file *zip.File) string {
	return fmt.Sprintf("%08X%X", file.CRC32, file.UncompressedSize64)
}

// customNames are the names of the documents that CRDs have a part in.
func (o *openapi) customNames() map[string]bool {
	out := map[string]bool{}
	for _, crd := range o.crds {
		for _, v := range crd.Spec.Versions {
			if v.Served {
				out["apis/"+gvOf(crd, v.Name).String()] = true
			}
		}
	}
	return out
}

// customDocument builds the v3 document of a group version that CRDs have a part in. o.mu is held.
func (o *openapi) customDocument(name string) (document, error) {
	if doc, ok := o.custom[name]; ok {
		return doc, nil
	}
	var parts []*spec3.OpenAPI
	if file := o.native[name]; file != nil {
		raw, err := unpack(file)
		if err != nil {
			return document{}, err
		}
		base := &spec3.OpenAPI{}
		if err := json.Unmarshal(raw, base); err != nil {
			return document{}, fmt.Errorf("read the OpenAPI document %s: %w", name, err)
		}
		parts = append(parts, base)
	}
	for _, crd := range o.crds {
		for _, v := range crd.Spec.Versions {
			if !v.Served || "apis/"+gvOf(crd, v.Name).String() != name {
				continue
			}
			part, err := builder.BuildOpenAPIV3(crd, v.Name, builder.Options{V2: false, IncludeSelectableFields: true})
			if err != nil {
				return document{}, fmt.Errorf("build the OpenAPI document of CRD %s: %w", crd.Name, err)
			}
			if o.questions[crd.Name] {
				onlyCreate(part)
			}
			parts = append(parts, part)
		}
	}
	merged, err := builder.MergeSpecsV3(parts...)
	if err != nil {
		return document{}, fmt.Errorf("merge the OpenAPI documents of %s: %w", name, err)
	}
	body, err := json.Marshal(merged)
	if err != nil {
		return document{}, fmt.Errorf("write the OpenAPI document %s: %w", name, err)
	}
	o.custom[name] = newDocument(body)
	return o.custom[name], nil
}

// onlyCreate leaves of the document of a kind what can be done with a question.
//
// And one thing that cannot: kubectl takes it from the PATCH of a kind, and from nothing else, that the server checks
// fields. Where it finds none it lists all CustomResourceDefinitions, which few may, and refuses to go on without. So
// the PATCH stays in the document, beside the POST; who sends one is told that it is not allowed.
func onlyCreate(doc *spec3.OpenAPI) {
	if doc.Paths == nil {
		return
	}
	var create *spec3.Path
	var patch *spec3.Operation
	for path, item := range doc.Paths.Paths {
		if item.Post == nil {
			if item.Patch != nil && !strings.HasSuffix(path, "/status") {
				patch = item.Patch
			}
			delete(doc.Paths.Paths, path)
			continue
		}
		item.Get, item.Delete = nil, nil
		create = item
	}
	if create != nil && patch != nil {
		patch.Description = "not allowed: a question is asked, answered and not kept"
		create.Patch = patch
	}
}

// serveV3 answers /openapi/v3/<name>, as JSON or protobuf.
func (o *openapi) serveV3(w http.ResponseWriter, req *http.Request, name string) {
	doc, err := o.v3Document(name)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if doc == nil {
		http.NotFound(w, req)
		return
	}
	if hash := req.URL.Query().Get("hash"); hash != "" {
		if hash != doc.etag {
			target := url.URL{Path: "/openapi/v3/" + name, RawQuery: "hash=" + url.QueryEscape(doc.etag)}
			http.Redirect(w, req, target.String(), http.StatusMovedPermanently)
			return
		}
		w.Header().Set("Cache-Control", "public, immutable")
		w.Header().Set("Expires", time.Now().AddDate(1, 0, 0).UTC().Format(http.TimeFormat))
	}
	serveNegotiated(w, req, *doc, v3Protobuf, handler3.ToV3ProtoBinary)
}

func (o *openapi) v3Document(name string) (*document, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.customNames()[name] {
		doc, err := o.customDocument(name)
		return &doc, err
	}
	file := o.native[name]
	if file == nil {
		return nil, nil
	}
	raw, err := unpack(file)
	if err != nil {
		return nil, err
	}
	return &document{body: raw, etag: nativeEtag(file), made: file.Modified}, nil
}

// serveV2 answers /openapi/v2, as JSON or protobuf.
func (o *openapi) serveV2(w http.ResponseWriter, req *http.Request) {
	o.mu.Lock()
	if o.v2 == nil {
		body, err := o.buildV2()
		if err != nil {
			o.mu.Unlock()
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		doc := newDocument(body)
		o.v2 = &doc
	}
	doc := *o.v2
	o.mu.Unlock()
	serveNegotiated(w, req, doc, v2Protobuf, handler.ToProtoBinary)
}

// buildV2 adds paths and definitions of custom kinds to the native document. Only the names are parsed of the latter.
func (o *openapi) buildV2() ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(nativeV2))
	if err != nil {
		return nil, fmt.Errorf("unpack the OpenAPI document: %w", err)
	}
	raw, err := io.ReadAll(reader)
	if err != nil {
		return nil, fmt.Errorf("unpack the OpenAPI document: %w", err)
	}
	if len(o.crds) == 0 {
		return raw, nil
	}
	var whole, paths, definitions map[string]json.RawMessage
	if err := json.Unmarshal(raw, &whole); err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	for name, into := range map[string]*map[string]json.RawMessage{"paths": &paths, "definitions": &definitions} {
		if err := json.Unmarshal(whole[name], into); err != nil {
			return nil, fmt.Errorf("read %s of the OpenAPI document: %w", name, err)
		}
	}
	for _, crd := range o.crds {
		for _, v := range crd.Spec.Versions {
			if !v.Served {
				continue
			}
			part, err := builder.BuildOpenAPIV2(crd, v.Name, builder.Options{V2: true, IncludeSelectableFields: true})
			if err != nil {
				continue // as in Kubernetes, such a kind has no schema
			}
			part.Definitions = handler.PruneDefaults(part.Definitions) // as those of native kinds are
			if part.Paths != nil && !o.questions[crd.Name] {
				err = addMissing(paths, part.Paths.Paths)
			}
			if err == nil {
				err = addMissing(definitions, part.Definitions)
			}
			if err != nil {
				return nil, fmt.Errorf("add CRD %s to the OpenAPI document: %w", crd.Name, err)
			}
		}
	}
	for name, part := range map[string]map[string]json.RawMessage{"paths": paths, "definitions": definitions} {
		if whole[name], err = json.Marshal(part); err != nil {
			return nil, fmt.Errorf("write %s of the OpenAPI document: %w", name, err)
		}
	}
	return json.Marshal(whole)
}

func addMissing[T any](into map[string]json.RawMessage, from map[string]T) error {
	for name, value := range from {
		if _, ok := into[name]; ok {
			continue
		}
		raw, err := json.Marshal(value)
		if err != nil {
			return err
		}
		into[name] = raw
	}
	return nil
}

func unpack(file *zip.File) ([]byte, error) {
	reader, err := file.Open()
	if err != nil {
		return nil, fmt.Errorf("unpack the OpenAPI document %s: %w", file.Name, err)
	}
	defer func() { _ = reader.Close() }()
	raw, err := io.ReadAll(reader)
	if err != nil {
		return nil, fmt.Errorf("unpack the OpenAPI document %s: %w", file.Name, err)
	}
	return raw, nil
}

// The media types of OpenAPI documents as protobuf; clients ask in both spellings of each.
var (
	v2Protobuf = []string{"application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
		"application/com.github.proto-openapi.spec.v2@v1.0+protobuf"}
	v3Protobuf = []string{"application/com.github.proto-openapi.spec.v3.v1.0+protobuf",
		"application/com.github.proto-openapi.spec.v3@v1.0+protobuf"}
)

// serveNegotiated serves JSON, or protobuf to who names it first.
func serveNegotiated(w http.ResponseWriter, req *http.Request, doc document, protobufTypes []string,
	toProtobuf func([]byte) ([]byte, error)) {
	w.Header().Set("Vary", "Accept")
	for _, part := range strings.Split(req.Header.Get("Accept"), ",") {
		media, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		switch {
		case media == "" || media == "*/*" || media == "application/*" || media == "application/json":
			serveDocument(w, req, doc, "application/json")
			return
		case slices.Contains(protobufTypes, media):
			body, err := toProtobuf(doc.body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			doc.body, doc.etag = body, doc.etag+"-protobuf"
			serveDocument(w, req, doc, protobufTypes[0])
			return
		}
	}
	w.WriteHeader(http.StatusNotAcceptable)
}

func serveDocument(w http.ResponseWriter, req *http.Request, doc document, mediaType string) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Etag", strconv.Quote(doc.etag))
	if len(doc.body) > 64<<10 && strings.Contains(req.Header.Get("Accept-Encoding"), "gzip") &&
		req.Header.Get("If-None-Match") == "" && req.Header.Get("Range") == "" {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Add("Vary", "Accept-Encoding")
		packed, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err == nil {
			_, _ = packed.Write(doc.body)
			_ = packed.Close()
		}
		return
	}
	http.ServeContent(w, req, "", doc.made, bytes.NewReader(doc.body))
}

// nativeTypes are the merge rules of native kinds for server-side apply.
func nativeTypes() managedfields.TypeConverter {
	return applyconfigurations.NewTypeConverter(native.Scheme())
}

// definitionSchemas are the schemas of CustomResourceDefinition and of what it consists of, object metadata included.
func definitionSchemas() (map[string]*spec.Schema, error) {
	raw, err := unpack(newOpenAPI().native["apis/apiextensions.k8s.io/v1"])
	if err != nil {
		return nil, err
	}
	doc := &spec3.OpenAPI{}
	if err := json.Unmarshal(raw, doc); err != nil {
		return nil, fmt.Errorf("read the schema of CRDs: %w", err)
	}
	return doc.Components.Schemas, nil
}
