package prism

import (
	"context"
	"slices"

	config "github.com/nutanix/ntnx-api-golang-clients/prism-go-client/v4/models/prism/v4/config"
)

// failedTasks is a filter in Prism Central's language.
const failedTasks = "status eq Prism.Config.TaskStatus'FAILED'"

// Troubles tells the message of the newest failed task about a virtual machine of each name, where there is one. It
// reads one page, which holds the newest failures. An error is an [*Error].
func (d *Door) Troubles(ctx context.Context, vmNames []string) (map[string]string, error) {
	if len(vmNames) == 0 {
		return map[string]string{}, nil
	}
	found, err := ask(ctx, d, func(w *worker) (page[config.Task], error) {
		first, limit, filter := 0, pageSize, failedTasks
		a, err := w.tasks.ListTasks(&first, &limit, &filter, nil, nil)
		if err != nil {
			return page[config.Task]{}, err
		}
		return pageOf[config.Task](a.GetData(), centralTotal(a.Metadata))
	})
	if err != nil {
		return nil, err
	}
	tasks := found.items
	slices.SortStableFunc(tasks, func(a, b config.Task) int { return deref(b.CreatedTime).Compare(deref(a.CreatedTime)) })
	troubles := map[string]string{}
	for _, t := range tasks {
		why := messageOf(t)
		// A server that does not know the filter may send more than was asked for.
		if why == "" || deref(t.Status) != config.TASKSTATUS_FAILED {
			continue
		}
		for _, e := range t.EntitiesAffected {
			name := deref(e.Name)
			if _, known := troubles[name]; !known && slices.Contains(vmNames, name) {
				troubles[name] = d.gate.hide(why)
			}
		}
	}
	return troubles, nil
}
