// Package truth compares what plans predict with what becomes of machines. Every field of the API is changed once, and
// what else happens in the life of a cluster is done by hand; each change is planned from the files and against what is
// live, and then applied by the operator and the real controllers of Cluster API and CAPX. Machines are counted by UID.
package truth

import (
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/prismsim/simulator"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

var shared rig.Package

// patience bounds how long the real controllers may take for one change on a busy machine.
const patience = 5 * time.Minute

// share of the generated scenarios that is tried; REFRACT_TRUTH=full tries all.
const share = 10

// seed chooses them and their order; REFRACT_TRUTH_SEED says which.
var seed = uint64(time.Now().UnixNano())

func full() bool { return os.Getenv("REFRACT_TRUTH") == "full" }

func TestMain(m *testing.M) {
	flag.Parse()
	if text := os.Getenv("REFRACT_TRUTH_SEED"); text != "" {
		given, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			fmt.Fprintln(os.Stderr, "REFRACT_TRUTH_SEED:", err)
			os.Exit(1)
		}
		seed = given
	}
	log.SetOutput(io.Discard) // the Git servers log every request
	code := rig.Run(m, &shared, world.Options{Managers: true, Model: model()}, controllers.Options{InventoryInterval: 5 * time.Second})
	fmt.Println(tally.String())
	os.Exit(code)
}

// random is a source for one shape, so that shapes do not depend on each other's pace.
func random(shape string) *rand.Rand {
	var second uint64
	for _, r := range shape {
		second = second*31 + uint64(r)
	}
	return rand.New(rand.NewPCG(seed, second))
}

// ids are the UUIDs of what the files name so.
var ids = map[string]string{}

// model is the default model with UUIDs that the files can name, and with two of everything that a field may be changed to.
func model() simulator.Model {
	m := simulator.DefaultModel()
	for i := range m.PrismElements {
		for j := range m.PrismElements[i].Hosts {
			m.PrismElements[i].Hosts[j].GPUs = []simulator.GPU{
				{Name: "NVIDIA A40", DeviceID: 8757, Mode: simulator.GPUPassthroughCompute, Count: 4},
				{Name: "NVIDIA L40", DeviceID: 8758, Mode: simulator.GPUPassthroughCompute, Count: 4},
				{Name: "NVIDIA A16-4Q", DeviceID: 1703, Mode: simulator.GPUVirtual, Count: 16},
				{Name: "NVIDIA A16-8Q", DeviceID: 1704, Mode: simulator.GPUVirtual, Count: 16},
			}
		}
	}
	for _, name := range []string{"golden-ubuntu-24.04-v1.33.4", "golden-ubuntu-22.04-v1.33.4", "node-a", "node-b"} {
		image := m.Images[1]
		image.Name = name
		m.Images = append(m.Images, image)
	}
	m.Categories = append(m.Categories, simulator.Category{Key: "Team", Value: "Production"}, simulator.Category{Key: "Team", Value: "Staging"})
	next := 0
	id := func(name string) string {
		next++
		ids[name] = fmt.Sprintf("%08d-8f43-40f2-82b7-3cecef193712", next)
		return ids[name]
	}
	for i := range m.PrismElements {
		m.PrismElements[i].ExtID = id(m.PrismElements[i].Name)
	}
	for i := range m.Subnets {
		m.Subnets[i].ExtID = id(m.Subnets[i].Name)
	}
	for i := range m.Images {
		m.Images[i].ExtID = id(m.Images[i].Name)
	}
	for i := range m.Projects {
		m.Projects[i].ExtID = id(m.Projects[i].Name)
	}
	for i := range m.StorageContainers {
		c := &m.StorageContainers[i]
		c.ExtID = id(c.PrismElement + "/" + c.Name)
	}
	return m
}
