#include "probe.h"
#include "../../../core/platform.h"

#include <stdio.h>
#include <string.h>

/* A driver that does not answer in this time is taken to hang. NVIDIA's may take 3 seconds for each GPU of a server
 * that has not been used since it started. */
enum { PATIENCE_MS = 60000 };

void dcnv4i_view_none(dcnv4i_view *view, const char *reason) {
    view->count = 0;
    snprintf(view->reason, sizeof view->reason, "%s", reason);
}

/* Records how a child ended that returned no result. */
static void say_how_it_ended(dcnv4i_probe *probe, const dcnv4i_child *child) {
    char reason[128];
    if (child->end == DCNV4I_CHILD_SILENT)
        snprintf(reason, sizeof reason, "the %s driver did not answer in %d seconds", probe->what, PATIENCE_MS / 1000);
    else if (child->end == DCNV4I_CHILD_SIGNALLED)
        snprintf(reason, sizeof reason, "the %s driver ended the process that loaded it (%s %d)", probe->what,
                 child->what, child->number);
    else
        snprintf(reason, sizeof reason, "the %s driver ended the process that loaded it", probe->what);
    dcnv4i_view_none(&probe->view, reason);
    probe->view.probe_crashed = true;
}

/* No child could be started, which says nothing against the driver: opening a device by its name loads it in this
 * process. */
static void say_no_child(dcnv4i_probe *probe, const dcnv4i_child *child) {
    char reason[160];
    snprintf(reason, sizeof reason,
             "no %s to look for %s devices in could be had (error %d); one that is opened by its name is looked for in "
             "this process",
             child->what, probe->what, child->number);
    if (!probe->refused)
        dcnv4i_view_none(&probe->none, reason);
    probe->refused = true;
}

static void look(void *probe, void *view) {
    ((const dcnv4i_probe *)probe)->look(view);
}

/* Returns whether a child could be started. */
static bool look_from_child(dcnv4i_probe *probe) {
    const dcnv4i_child child = dcnv4i_child_call(look, probe, &probe->view, sizeof probe->view, PATIENCE_MS);
    if (child.end == DCNV4I_CHILD_NONE)
        say_no_child(probe, &child);
    else if (child.end != DCNV4I_CHILD_DONE)
        say_how_it_ended(probe, &child);
    return child.end != DCNV4I_CHILD_NONE;
}

const dcnv4i_view *dcnv4i_probe_look(dcnv4i_probe *probe) {
    dcnv4i_fork_lock_take(&probe->lock);
    if (!probe->looked) {
        memset(&probe->view, 0, sizeof probe->view); /* a fork() may have interrupted a look */
        const bool here = probe->in_use() || !dcnv4i_has_children();
        if (here)
            probe->look(&probe->view);
        probe->looked = here || look_from_child(probe);
    }
    const dcnv4i_view *const seen = probe->looked ? &probe->view : &probe->none;
    dcnv4i_fork_lock_release(&probe->lock);
    return seen;
}
