package render

// set puts value at path below m and makes the maps in between. What is in the way is replaced.
func set(m map[string]any, value any, path ...string) {
	for _, k := range path[:len(path)-1] {
		inner, ok := m[k].(map[string]any)
		if !ok {
			inner = map[string]any{}
			m[k] = inner
		}
		m = inner
	}
	m[path[len(path)-1]] = value
}
