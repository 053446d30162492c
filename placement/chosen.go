package placement

// Chooses names the clusters that the terms choose, whatever they can hold and whatever state they are in, and the
// clusters that they name though there is none of that name. A term with the weight 0 chooses none.
func Chooses(terms []Term, clusters []Cluster) []string {
	if len(terms) == 0 {
		terms = everyCluster[:]
	}
	index := newTermIndex(terms, make([]bool, len(terms)), nil)
	chosen := map[string]bool{}
	var names []string
	add := func(name string) {
		if !chosen[name] {
			chosen[name] = true
			names = append(names, name)
		}
	}
	isThere := make(map[string]bool, len(clusters))
	for i := range clusters {
		isThere[clusters[i].Name] = true
		at, _ := index.match(&clusters[i]) // an expression that fails chooses nothing
		if at != none && (terms[at].Weight == nil || *terms[at].Weight > 0) {
			add(clusters[i].Name)
		}
	}
	for i := range terms {
		for _, name := range terms[i].Names {
			if !isThere[name] && (terms[i].Weight == nil || *terms[i].Weight > 0) {
				add(name)
			}
		}
	}
	return names
}
