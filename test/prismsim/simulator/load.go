package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"sigs.k8s.io/yaml"
)

// LoadModel reads a Model from YAML or JSON. Fields that a Model does not have
// are an error that names them, and so is what contradicts itself.
func LoadModel(data []byte) (Model, error) {
	var m Model
	if err := yaml.UnmarshalStrict(data, &m); err != nil {
		return Model{}, fmt.Errorf("read the model: %w", err)
	}
	s := New(Options{Model: m})
	defer s.Close()
	if s.broken != nil {
		return Model{}, s.broken
	}
	return m, nil
}

// YAML writes the Model as [LoadModel] reads it.
func (m Model) YAML() ([]byte, error) {
	written, err := yaml.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write the model: %w", err)
	}
	return written, nil
}

// LoadFaults reads a list of faults from YAML or JSON. Durations are written as
// Go does, such as 1m30s. Fields that a Fault does not have are an error that
// names them; whether a fault can strike is for [Server.AddFault] to say.
func LoadFaults(data []byte) ([]Fault, error) {
	var faults []Fault
	if err := yaml.UnmarshalStrict(data, &faults); err != nil {
		return nil, fmt.Errorf("read the faults: %w", err)
	}
	return faults, nil
}

// plainFault is a Fault without its methods.
type plainFault Fault

// writtenFault has the durations in words, over those of the Fault.
type writtenFault struct {
	*plainFault
	RetryAfter string `json:"retryAfter,omitempty"`
	Delay      string `json:"delay,omitempty"`
}

// UnmarshalJSON reads a Fault whose durations are texts.
func (f *Fault) UnmarshalJSON(data []byte) error {
	read := writtenFault{plainFault: (*plainFault)(f)}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&read); err != nil {
		return err
	}
	var err error
	if f.RetryAfter, err = duration("retryAfter", read.RetryAfter); err != nil {
		return err
	}
	f.Delay, err = duration("delay", read.Delay)
	return err
}

func duration(field, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", field, err)
	}
	return d, nil
}
