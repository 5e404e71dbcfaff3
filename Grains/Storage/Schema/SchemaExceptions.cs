using Npgsql;

namespace Actors.Storage;

/// <summary>The tables of schema <c>actors</c> and this binary do not fit together.</summary>
public abstract class SchemaException : ActorsException
{
    private protected SchemaException(string message, Exception? inner = null) : base(message, inner) { }
}

/// <summary>The database has no tables of Actors.</summary>
public sealed class SchemaMissingException : SchemaException
{
    internal SchemaMissingException(string? database) : base(
        $"Database '{database}' has no schema 'actors'. Run the silo once with --migrate-only, "
        + "or check that this is the database that was meant.") { }
}

/// <summary>The database's encoding cannot hold every id, name and payload. Nothing was written.</summary>
public sealed class DatabaseEncodingException : SchemaException
{
    internal DatabaseEncodingException(string? database, string encoding) : base(
        $"Database '{database}' has the encoding {encoding}, which cannot hold every id, name and payload: workflows need UTF8. "
        + "Make another: create database … encoding 'UTF8' template template0; an encoding cannot be changed.") =>
        Encoding = encoding;

    /// <summary>The encoding that the database has, as Postgres names it.</summary>
    public string Encoding { get; }
}

/// <summary>The connection string, or PGCLIENTENCODING, asks for an encoding that would change what is stored. Nothing was
/// written.</summary>
public sealed class ClientEncodingException : SchemaException
{
    internal ClientEncodingException(string? database, string clientEncoding, string encoding) : base(
        $"The connection to database '{database}' has Client Encoding={clientEncoding} and Encoding={encoding}, which would change or "
            + $"refuse what is stored: "
        + "both must be UTF8. Take them out of the connection string, and PGCLIENTENCODING out of the environment.") { }
}

/// <summary>Migrations of this binary are not applied yet.</summary>
public sealed class SchemaBehindException : SchemaException
{
    internal SchemaBehindException(string? database, IReadOnlyList<Migration> pending) : base(
        $"Schema 'actors' of database '{database}' lacks {pending.Count} migration(s), the first is {pending[0].File}. "
        + "Run the silo once with --migrate-only.") =>
        Pending = [.. pending.Select(migration => migration.File)];

    /// <summary>The files that are not applied, in their order.</summary>
    public IReadOnlyList<string> Pending { get; }
}

/// <summary>The schema asks for a newer binary. Nothing was written.</summary>
public sealed class SchemaTooNewException : SchemaException
{
    internal SchemaTooNewException(string? database, int oldestBinary, int binary) : base(
        $"Schema 'actors' of database '{database}' may be used from binary generation {oldestBinary} on; "
        + $"this binary is generation {binary}. Deploy a newer binary: a schema is never migrated back.") =>
        (OldestBinary, Binary) = (oldestBinary, binary);

    /// <summary>The oldest generation that the schema admits.</summary>
    public int OldestBinary { get; }

    /// <summary>The generation of this binary.</summary>
    public int Binary { get; }
}

/// <summary>The silos of this database have agreed on something that this binary does otherwise. Nothing was written.</summary>
public sealed class SchemaSettingException : SchemaException
{
    internal SchemaSettingException(string name, string stored, string ours) : base(
        $"Setting '{name}' of this database (actors.settings) is {stored}, and this binary's is {ours}: they cannot share its workflows. "
        + "Deploy the binary that the other silos run, or give this one a database of its own.") => Name = name;

    /// <summary>Of the setting.</summary>
    public string Name { get; }
}

/// <summary>A migration that was applied has another text in this binary. Nothing was written.</summary>
public sealed class MigrationChangedException : SchemaException
{
    internal MigrationChangedException(string? database, Migration migration) : base(
        $"{migration.File} was applied to database '{database}' with another text. "
        + "Restore the file as it was released, and put the change into a new migration.") =>
        File = migration.File;

    /// <summary>The changed file.</summary>
    public string File { get; }
}

/// <summary>A migration failed and was rolled back, or, where it builds an index online, is built anew by the next run; those before it
/// stay applied.</summary>
public sealed class MigrationFailedException : SchemaException
{
    internal MigrationFailedException(string? database, Migration migration, NpgsqlException inner) : base(
        $"{migration.File} failed on database '{database}' and "
            + $"{(migration.Online is null ? "was rolled back" : "is built anew by the next run")}: {inner.Message}", inner) =>
        File = migration.File;

    /// <summary>The file that failed.</summary>
    public string File { get; }

    /// <inheritdoc/>
    public override bool IsTransient => InnerException is NpgsqlException { IsTransient: true };
}
