"""What the server behind needs to be taken for Aurora DSQL: roles, the schema sys, judges.

The judges (event triggers) act in sessions of the front only, which sets `sunup.dsql`.
"""

# What every session is started with; its client's own settings come later, and win. The detection
# of deadlocks is what a statement waits for where two sessions wait for each other; a statement
# ends when the front hangs up.
SESSION = (
    "-c sunup.dsql=on -c TimeZone=UTC -c deadlock_timeout=30ms"
    " -c client_connection_check_interval=100ms"
    " -c default_transaction_isolation=repeatable\\ read"
)

_ROLES = """
do $$ begin create role admin login createrole; exception when duplicate_object then null; end $$;
do $$ begin create role {app} login; exception when duplicate_object then null; end $$;
do $$ begin
    execute format('grant create, connect on database %I to admin', current_database());
end $$;
grant all on schema public to admin with grant option;
grant set on parameter deadlock_timeout to public;
alter default privileges for role admin
    grant select, insert, update, delete on tables to {app};
alter default privileges for role admin grant usage on sequences to {app};
"""

# The columns are those of the Aurora DSQL User Guide, and of EMU (`refusals`), index.
_SYS = """
create schema if not exists sys;
grant usage on schema sys to public;
create table if not exists sys.granted (
    iam_oid bigint generated always as identity (start with 26400), arn text, role oid, grantor oid,
    primary key (arn, role));
create or replace view sys.iam_pg_role_mappings as
    select iam_oid::oid, arn, role as pg_role_oid, r.rolname as pg_role_name,
           grantor as grantor_pg_role_oid, g.rolname as grantor_pg_role_name
    from sys.granted left join pg_roles r on r.oid = role left join pg_roles g on g.oid = grantor;
create table if not exists sys.work (
    job_id text primary key, status text not null default 'submitted', details text,
    job_type text not null, class_id oid not null default 'pg_class'::regclass, object_id oid,
    object_name text, start_time timestamptz not null default now(),
    update_time timestamptz not null default now(), command text);
create or replace view sys.jobs as
    select job_id, status, details, job_type, class_id, object_id, object_name, start_time,
           update_time
    from sys.work
    where status not in ('completed', 'failed') or update_time > now() - interval '30 minutes';
grant select on sys.jobs, sys.iam_pg_role_mappings to public;
create or replace procedure sys.wait_for_job(job_id text) language plpgsql as $$
begin
    if not exists (select from sys.jobs j where j.job_id = wait_for_job.job_id) then
        raise exception using errcode = '42704', message = format('job %s not found', job_id);
    end if;
end $$;
create or replace function sys.submitted(job_type text, object oid, validated text)
returns text language sql security definer set search_path = pg_catalog as $$
    insert into sys.work (job_id, job_type, object_id, object_name, command)
    select string_agg(
               substr('abcdefghijklmnopqrstuvwxyz234567', 1 + floor(random() * 32)::int, 1), ''),
           job_type, object,
           (select format('%s.%s', relnamespace::regnamespace, relname)
            from pg_class where oid = object),
           case when validated is not null then
               format('alter table %s validate constraint %I', object::regclass, validated) end
    from generate_series(1, 26) returning job_id
$$;
create or replace function sys.fails(job text, reason text) returns void language sql
security definer set search_path = pg_catalog as $$
    update sys.work set command = reason where job_id = job
$$;
create or replace function sys.iam_grant(name text, caller text) returns void language plpgsql
security definer set search_path = pg_catalog as $$
begin
    if session_user <> 'admin' then
        raise exception using errcode = '42501', message = 'permission denied to grant role';
    end if;
    insert into sys.granted (arn, role, grantor)
    values (caller, format('%I', name)::regrole, 'admin'::regrole) on conflict do nothing;
end $$;
create or replace function sys.iam_revoke(name text, caller text) returns void language plpgsql
security definer set search_path = pg_catalog as $$
begin
    if session_user <> 'admin' then
        raise exception using errcode = '42501', message = 'permission denied to revoke role';
    end if;
    delete from sys.granted where arn = caller and role = format('%I', name)::regrole;
end $$;
"""

_JUDGES = """
create or replace function sys.judge_types() returns event_trigger language plpgsql
security definer set search_path = pg_catalog as $$
declare
    kind text;
begin
    if coalesce(current_setting('sunup.dsql', true), '') <> 'on' then return; end if;
    select format_type(a.atttypid, null) into kind
    from pg_event_trigger_ddl_commands() c
        join pg_attribute a on a.attrelid = c.objid and a.attnum > 0 and not a.attisdropped
        join pg_type t on t.oid = a.atttypid
    where c.classid = 'pg_class'::regclass and c.object_type = 'table' and t.typtype <> 'd'
        and t.typname not in (
            'bool', 'int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'bpchar', 'varchar',
            'text', 'date', 'time', 'timetz', 'timestamp', 'timestamptz', 'interval', 'bytea',
            'uuid', 'json', 'jsonb')
    limit 1;
    if found then
        raise exception using
            errcode = '0A000', message = format('datatype %s not supported', kind);
    end if;
end $$;
create or replace function sys.judge_index() returns event_trigger language plpgsql
security definer set search_path = pg_catalog set allow_system_table_mods = on as $$
declare
    made oid;
begin
    if coalesce(current_setting('sunup.dsql', true), '') <> 'on' then return; end if;
    for made in select objid from pg_event_trigger_ddl_commands() where object_type = 'index' loop
        update pg_index set indisvalid = false where indexrelid = made;
        perform set_config('sunup.job', sys.submitted('INDEX_BUILD', made, null), false);
    end loop;
end $$;
drop event trigger if exists sunup_types;
drop event trigger if exists sunup_index;
create event trigger sunup_types on ddl_command_end
    when tag in ('CREATE TABLE', 'ALTER TABLE') execute function sys.judge_types();
create event trigger sunup_index on ddl_command_end
    when tag in ('CREATE INDEX') execute function sys.judge_index();
"""

# As recorded (EMU, environment); the database is always called so. These must be such that the
# planner puts their text in their place: what they replace are built in, and found by number. Of
# the text search configurations only `simple` is there (EMU, queries; of the others english only).
_CATALOG = """
set allow_system_table_mods = on;
create or replace function pg_catalog.version() returns text language sql stable
    as $$ select 'PostgreSQL 16' $$;
create or replace function pg_catalog.current_database() returns name language sql stable
    as $$ select 'postgres'::name $$;
create or replace function pg_catalog.current_setting(text) returns text language sql stable
    as $$ select case lower($1) when 'server_version' then '16.15'
                 when 'server_version_num' then '160015'
                 else current_setting($1, false) end $$;
do $$ declare each text; begin
    for each in select cfgname from pg_ts_config where cfgname <> 'simple' loop
        execute format('drop text search configuration pg_catalog.%I', each);
    end loop;
end $$;
reset allow_system_table_mods;
"""

# What an unfamiliar owner has made belongs to admin.
_ADOPT = """
do $$ declare each record; begin
    for each in select c.oid::regclass as name, c.relkind as kind from pg_class c
            join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'public' and c.relkind in ('r', 'v', 'S', 'p')
            and pg_get_userbyid(c.relowner) <> 'admin'
            and not exists (select from pg_depend d where d.objid = c.oid
                            and d.deptype in ('a', 'i') and c.relkind = 'S'
                            and d.classid = 'pg_class'::regclass) loop
        execute format('alter table %s owner to admin', each.name);
        execute format('grant select, insert, update, delete on %s to {app}', each.name);
    end loop;
end $$;
"""

_GRANTED = """
insert into sys.granted (arn, role, grantor)
select '{arn}', '{app}'::regrole, 'admin'::regrole on conflict do nothing;
"""


def statements(app: str, arn: str) -> list[str]:
    """What makes a database one of DSQL's, for its owner; it may be done again."""
    return [
        _ROLES.replace("{app}", app),
        _SYS,
        _JUDGES,
        _CATALOG,
        _GRANTED.replace("{app}", app).replace("{arn}", arn.replace("'", "''")),
    ]


def adopted(app: str) -> str:
    """What gives `admin` what migrations have made."""
    return _ADOPT.replace("{app}", app)
