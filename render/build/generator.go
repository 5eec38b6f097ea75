package build

import (
	"path"
	"strings"
)

func generator(s *scan, k *kustomization, field string, value any) any {
	m, ok := s.fields(k, field, value, "name", "namespace", "behavior", "literals", "files", "envs", "env", "options", "type")
	if !ok {
		return value
	}
	before := k.cost.bytes
	if v := m["files"]; v != nil {
		m["files"] = list(keyedFile)(s, k, field+".files", v)
	}
	if v := m["envs"]; v != nil {
		m["envs"] = list(dataFile)(s, k, field+".envs", v)
	}
	if v := m["env"]; v != nil {
		m["env"] = dataFile(s, k, field+".env", v)
	}
	s.generates(k, field, k.doc.bytes+k.cost.bytes-before)
	return m
}

// keyedFile takes "path" or "key=path".
func keyedFile(s *scan, k *kustomization, field string, value any) any {
	raw, ok := value.(string)
	if !ok {
		return dataFile(s, k, field, value)
	}
	key, file, found := strings.Cut(raw, "=")
	if !found {
		key, file = path.Base(raw), raw
	}
	if rewritten, ok := dataFile(s, k, field, file).(string); ok {
		return key + "=" + rewritten
	}
	return value
}

func dataFile(s *scan, k *kustomization, field string, value any) any {
	name, ok := s.entry(k, field, value)
	if !ok {
		return value
	}
	data, _ := s.copyFile(name, k.at(field)) // reported
	k.cost.bytes += len(data)
	s.within(k.cost, k.at(field))
	return k.relative(name)
}

// generates charges a generator: every file where it is mentioned.
func (s *scan) generates(k *kustomization, field string, size int) {
	kind := "ConfigMap"
	if strings.HasPrefix(field, "secret") {
		kind = "Secret"
	}
	k.cost.objects++
	s.expense.sized(kind, size)
}
