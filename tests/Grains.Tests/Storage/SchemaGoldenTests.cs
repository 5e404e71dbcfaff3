using Actors.Grains.Tests.Golden;
using Actors.Support;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>The schema as text: a change to it is seen in review.</summary>
[EachPostgres]
public sealed class SchemaGoldenTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private const string Read = """
        select string_agg(line, E'\n' order by line collate "C") || E'\n' from (
            select 'table ' || c.relname || ' ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
                || case when a.attcollation <> t.typcollation then ' collate ' || co.collname else '' end
                || case when a.attnotnull then ' not null' else '' end
                || case when a.attidentity <> '' then ' identity' when a.attgenerated <> '' then ' generated ' else '' end
                || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') as line
            from pg_class c
            join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            join pg_type t on t.oid = a.atttypid
            left join pg_collation co on co.oid = a.attcollation
            left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
            where c.relnamespace = 'actors'::regnamespace and c.relkind in ('r', 'p')
            union all select 'options ' || relname || ' ' || array_to_string(reloptions, ' ') from pg_class
            where relnamespace = 'actors'::regnamespace and reloptions is not null
            union all select 'index ' || indexdef from pg_indexes where schemaname = 'actors'
            union all select 'sequence ' || sequencename || ' by ' || increment_by from pg_sequences where schemaname = 'actors'
            union all select 'function ' || pg_get_functiondef(p.oid) from pg_proc p where pronamespace = 'actors'::regnamespace) lines
        """;

    [Fact]
    public async Task The_schema_is_the_one_that_was_reviewed() =>
        await GoldenFile.CheckAsync("schema.txt", await Store.ScalarAsync<string>(database.DataSource, Read));
}
