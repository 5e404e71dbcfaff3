using Npgsql;

namespace Actors.Storage;

/// <summary>
/// Listens for warnings while a COMMIT is under way. PostgreSQL commits and warns when its wait for a synchronous standby was cut short:
/// the commit stands here, and is lost if this server is. Resolving such an outcome writes, and that write waits for the standby again.
/// </summary>
internal sealed class CommitDoubts : IDisposable
{
    private readonly NpgsqlConnection _connection;
    private string? _warning;

    public CommitDoubts(NpgsqlConnection connection)
    {
        _connection = connection;
        connection.Notice += OnNotice;
    }

    public void ThrowIfAny()
    {
        if (_warning is not null)
        {
            throw new CommitInDoubtException(_warning);
        }
    }

    public void Dispose() => _connection.Notice -= OnNotice;

    private void OnNotice(object sender, NpgsqlNoticeEventArgs arguments)
    {
        if (arguments.Notice.InvariantSeverity == "WARNING")
        {
            _warning = arguments.Notice.MessageText;
        }
    }
}

/// <summary>A COMMIT succeeded with a warning.</summary>
internal sealed class CommitInDoubtException(string warning) : NpgsqlException($"The commit came with a warning: {warning}");
