/* See privileges.h. */
#include "cmd/privileges.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define DEPTH_MAX 8 /* folders in folders below DIR/vault; the tiles of docs/format.md go five deep */

struct identity {
    uid_t uid;
    gid_t gid;
};

static bool identity_of(const struct passwd *entry, const char *name, struct identity *out, struct error *err)
{
    if (entry == NULL)
        return error_set(err, ERR_USAGE, "there is no user %s", name);
    if (entry->pw_uid == 0)
        return error_set(err, ERR_USAGE, "user %s is root", name);
    *out = (struct identity){ entry->pw_uid, entry->pw_gid };
    return true;
}

static bool choose(const struct conf *conf, const struct data_dir *d, struct identity *out, struct error *err)
{
    const struct passwd *entry;

    if (conf->user[0] != '\0')
        return identity_of(getpwnam(conf->user), conf->user, out, err);
    if (d->owner != 0) {
        *out = (struct identity){ d->owner, d->group };
        return true;
    }
    entry = getpwnam("fanal");
    return identity_of(entry != NULL ? entry : getpwnam("nobody"), "nobody", out, err);
}

static bool give_tree(int fd, const struct identity *who, unsigned depth, struct error *err);

static bool give_entry(int dir, const char *name, const struct identity *who, unsigned depth, struct error *err)
{
    CLEANUP(file_close) int fd = -1;
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return error_errno(err, "giving vault/ away");
    if (S_ISDIR(st.st_mode)) {
        fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd >= 0 ? give_tree(fd, who, depth + 1, err) : error_errno(err, "giving vault/ away");
    }
    if (st.st_uid == who->uid && st.st_gid == who->gid)
        return true;
    return fchownat(dir, name, who->uid, who->gid, AT_SYMLINK_NOFOLLOW) == 0 || error_errno(err, "giving vault/ away");
}

/* Everything below fd, fd included, becomes his. */
static bool give_tree(int fd, const struct identity *who, unsigned depth, struct error *err)
{
    int again = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    DIR *entries = again < 0 ? NULL : fdopendir(again);
    const struct dirent *entry;
    bool good = true;

    if (entries == NULL || depth > DEPTH_MAX) {
        if (entries != NULL)
            (void)closedir(entries);
        return error_set(err, ERR_LIMIT, "vault/ cannot be listed, or is deeper than %d folders", DEPTH_MAX);
    }
    while (good && (entry = readdir(entries)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            good = give_entry(fd, entry->d_name, who, depth, err);
    (void)closedir(entries);
    if (good && fchown(fd, who->uid, who->gid) != 0)
        good = error_errno(err, "giving vault/ away");
    return good;
}

/* He passes through DIR (execute for his group) and cannot list or change it. */
static bool give_vault(const struct data_dir *d, const struct identity *who, struct error *err)
{
    CLEANUP(file_close) int vault = openat(d->fd, "vault", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (vault < 0)
        return error_errno(err, "vault/");
    if (d->owner != who->uid && (fchown(d->fd, (uid_t)-1, who->gid) != 0 || fchmod(d->fd, 0710) != 0))
        return error_errno(err, "letting the user pass");
    return give_tree(vault, who, 0, err);
}

bool privileges_drop(const struct conf *conf, const struct data_dir *d, struct error *err)
{
    struct identity who;

    if (geteuid() != 0)
        return true;
    if (!choose(conf, d, &who, err) || !give_vault(d, &who, err))
        return false;
    if (setgroups(0, NULL) != 0 || setresgid(who.gid, who.gid, who.gid) != 0
        || setresuid(who.uid, who.uid, who.uid) != 0 /* and with it every capability: capabilities(7) */
        || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return error_errno(err, "dropping privileges");
    if (setuid(0) == 0)
        return error_set(err, ERR_IO, "privileges came back");
    return true;
}
