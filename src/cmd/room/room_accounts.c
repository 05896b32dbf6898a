/*
 * Accounts as people change them: added, changed, disabled. Each is a rule of the log that says who did it.
 *
 * What may be a password is decided here: length first (NIST SP 800-63B §5.1.1.2 wants length, not classes of
 * characters), and nothing that everybody would try.
 */
#include <sodium.h>
#include <stdio.h>
#include <strings.h>

#include "cmd/room/change.h"

static bool name_is_sound(struct span name, size_t max)
{
    if (name.len == 0 || name.len > max || name.ptr[0] == ' ' || name.ptr[name.len - 1] == ' ')
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] < 0x20 || name.ptr[i] == 0x7f)
            return false;
    return true;
}

static bool role_is_known(struct span role)
{
    return span_equal(role, SPAN_LIT(ROLE_PHYSICIAN)) || span_equal(role, SPAN_LIT(ROLE_ADMIN))
           || span_equal(role, SPAN_LIT(ROLE_DPO));
}

static bool contains_name(struct span password, struct span user)
{
    for (size_t i = 0; user.len >= 4 && i + user.len <= password.len; i++)
        if (strncasecmp((const char *)password.ptr + i, (const char *)user.ptr, user.len) == 0)
            return true;
    return false;
}

bool account_password_is_sound(struct span password, struct span user, struct error *err)
{
    bool seen[256] = { false };
    unsigned different = 0;

    if (password.len < CHANGE_PASSWORD_MIN || password.len > CHANGE_PASSWORD_MAX)
        return error_set(err, ERR_REFUSED, "a password has %d to %d characters", CHANGE_PASSWORD_MIN,
                         CHANGE_PASSWORD_MAX);
    for (size_t i = 0; i < password.len; i++) {
        different += !seen[password.ptr[i]];
        seen[password.ptr[i]] = true;
        if (password.ptr[i] == '\0')
            return error_set(err, ERR_REFUSED, "a password holds no zero byte");
    }
    if (different < 5 || contains_name(password, user))
        return error_set(err, ERR_REFUSED, "a password that is easy to guess: the user's name, or too few characters");
    return true;
}

/* The values of the request that are sound, as fields of the fact; c->err for one that is not. */
static bool values_of(struct change *c, bool is_new, struct writer *facts)
{
    struct span user = change_text(c, FIELD_USER), name = change_text(c, FIELD_DISPLAY_NAME);
    struct span role = change_text(c, FIELD_ROLE), password = change_text(c, FIELD_PASSWORD);

    if (!name_is_sound(user, 64) || (name.len > 0 && !name_is_sound(name, 128)))
        return error_set(&c->err, ERR_REFUSED, "a user has a name of 1 to 64 characters, without control characters");
    if ((is_new || role.len > 0) && !role_is_known(role))
        return error_set(&c->err, ERR_REFUSED, "a role is " ROLE_PHYSICIAN ", " ROLE_ADMIN " or " ROLE_DPO);
    if ((is_new || password.len > 0) && !account_password_is_sound(password, user, &c->err))
        return false;
    (void)snprintf(c->detail, sizeof c->detail, "%.*s", (int)user.len, (const char *)user.ptr);
    field_put_text(facts, FIELD_USER, user);
    field_put_some(facts, FIELD_DISPLAY_NAME, is_new && name.len == 0 ? user : name);
    field_put_some(facts, FIELD_ROLE, role);
    if (password.len > 0)
        field_put_str(facts, FIELD_PASSWORD_HASH, c->new_hash);
    return true;
}

/* Somebody must be able to add accounts on the page, whoever is on holiday. */
static bool is_last_admin(struct room *room, const struct account *a)
{
    return strcmp(a->role, ROLE_ADMIN) == 0 && a->password_hash[0] != '\0'
           && vault_accounts_with_role(room->vault, ROLE_ADMIN) < 2;
}

/* The values are in force: who was signed in by the old ones signs in again. */
static void settled(struct room *room, struct change *c)
{
    if (c->new_hash[0] != '\0' || strcmp(c->rule->fact, "account-disabled") == 0)
        accounts_sign_out_user(&room->accounts, c->detail);
    change_answer(room, c);
}

static void append_values(struct room *room, struct change *c, bool is_new)
{
    struct writer facts = writer_new(2048);

    if (!values_of(c, is_new, &facts))
        change_answer(room, c);
    else
        change_append(room, c, c->rule->fact, writer_span(&facts), settled);
    if (facts.ptr != NULL)
        sodium_memzero(facts.ptr, facts.len);
    writer_done(&facts);
}

void account_add(struct room *room, struct change *c)
{
    struct account account;

    if (vault_account(room->vault, change_text(c, FIELD_USER), &account))
        change_refuse(room, c, ERR_EXISTS, "there is an account of that name");
    else if (vault_account_count(room->vault) == 0)
        change_refuse(room, c, ERR_REFUSED, "the first account is made on the page, with the enrolment code");
    else
        append_values(room, c, true);
}

void account_change(struct room *room, struct change *c)
{
    struct span role = change_text(c, FIELD_ROLE);
    struct account account;

    if (!vault_account(room->vault, change_text(c, FIELD_USER), &account))
        change_refuse(room, c, ERR_NOT_FOUND, "there is no account of that name");
    else if (role.len > 0 && !span_equal(role, SPAN_LIT(ROLE_ADMIN)) && is_last_admin(room, &account))
        change_refuse(room, c, ERR_REFUSED, "the last account with role admin keeps it");
    else
        append_values(room, c, false);
}

void account_disable(struct room *room, struct change *c)
{
    struct span user = change_text(c, FIELD_USER);
    struct writer facts = writer_new(256);
    struct account account;

    (void)snprintf(c->detail, sizeof c->detail, "%.*s", (int)(user.len < 64 ? user.len : 64),
                   user.len > 0 ? (const char *)user.ptr : "");
    if (!vault_account(room->vault, user, &account)) {
        change_refuse(room, c, ERR_NOT_FOUND, "there is no account of that name");
    } else if (is_last_admin(room, &account)) {
        change_refuse(room, c, ERR_REFUSED, "the last account with role admin cannot be disabled");
    } else {
        field_put_text(&facts, FIELD_USER, user);
        change_append(room, c, "account-disabled", writer_span(&facts), settled);
    }
    writer_done(&facts);
}
