package prism

import (
	"context"
	"slices"

	config "github.com/nutanix/ntnx-api-golang-clients/prism-go-client/v4/models/prism/v4/config"
)

// failedTasks is a filter in Prism Central's language: all that CAPX never sees succeed.
const failedTasks = "status eq Prism.Config.TaskStatus'FAILED' or status eq Prism.Config.TaskStatus'CANCELED' or status eq Prism.Config.TaskStatus'SUSPENDED'"

// Troubles tells the message of the newest task about a virtual machine of each name that failed, was cancelled or is
// suspended, where there is one; one without a message is told by its state. It reads one page, which holds the newest
// such tasks. An error is an [*Error].
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
		why := troubleOf(t)
		if why == "" {
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

// troubleOf says why a task will not succeed; empty for others: a server that does not know the filter may send more than
// was asked for.
func troubleOf(t config.Task) string {
	switch state := deref(t.Status); state {
	case config.TASKSTATUS_FAILED, config.TASKSTATUS_CANCELED, config.TASKSTATUS_SUSPENDED:
		if why := messageOf(t); why != "" {
			return why
		}
		return "it is " + state.GetName() + " and gives no reason"
	default:
		return ""
	}
}
