using System.Data;
using System.Data.Common;
using System.Text;
using Actors.Wire;

namespace Actors.Calling;

/// <summary>Starts many workflows of one contract in the caller's transaction, a chunk a round trip: memory is bounded by two chunks and
/// one input.</summary>
internal sealed class BulkStart(DbTransaction transaction, Contract contract, string @namespace)
{
    private const int ChunkCountMax = 10_000;
    private const string Savepoint = "actors_start_many";
    private const int ChunkBytesMax = 4 * 1024 * 1024;

    private readonly List<(string Id, Payload Input)> _chunk = [];
    private Task<long> _underWay = Task.FromResult(0L);
    private long _bytes;

    public async Task<long> RunAsync<TInput>(
        IEnumerable<KeyValuePair<string, TInput>> inputs, PayloadSerializer payloads, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        CallersTransaction.ConnectionOf(transaction);
        await transaction.SaveAsync(Savepoint, cancellation);
        try
        {
            foreach (var (id, input) in inputs)
            {
                var workflow = new WorkflowId(id, @namespace);
                var payload = payloads.Write(input, $"Input of workflow '{workflow}'");
                _chunk.Add((id, payload));
                _bytes += payload.Size;
                if (_chunk.Count == ChunkCountMax || _bytes >= ChunkBytesMax)
                {
                    await SendAsync(cancellation);
                }
            }

            await SendAsync(cancellation);
            var made = await _underWay;
            await transaction.ReleaseAsync(Savepoint, cancellation);
            return made;
        }
        catch
        {
            await ((Task)_underWay).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await ((Task)transaction.RollbackAsync(Savepoint, CancellationToken.None)).ConfigureAwait(
                ConfigureAwaitOptions.SuppressThrowing);
            throw;
        }
    }

    /// <summary>Sends what is collected when the chunk before it is done; the next one is collected and made ready meanwhile.</summary>
    private async Task SendAsync(CancellationToken cancellation)
    {
        if (_chunk.Count > 0)
        {
            // In the order in which a silo's groups start runs too, so that nobody waits for each other in a circle.
            var chunk = new Columns([.. _chunk.OrderBy(start => start.Id, StringComparer.Ordinal)]);
            _chunk.Clear();
            _bytes = 0;
            var made = await _underWay;
            _underWay = Task.Run(() => InsertAsync(made, chunk, cancellation), CancellationToken.None);
        }
    }

    private async Task<long> InsertAsync(long made, Columns chunk, CancellationToken cancellation)
    {
        await using var command = transaction.Connection!.CreateCommand();
        (command.Transaction, command.CommandText) = (transaction, TransactionSql.StartWorkflows);
        Add(command, "namespace", @namespace);
        Add(command, "type", contract.Name);
        Add(command, "ids", chunk.Ids);
        Add(command, "payloads", chunk.Payloads);
        Add(command, "bytes", chunk.Bytes);
        Add(command, "runs", chunk.Runs);
        Add(command, "contracts", contract.FullNames.ToArray());
        try
        {
            return made + (long)(await command.ExecuteScalarAsync(cancellation))!;
        }
        catch (DbException error) when (error.SqlState == "AC002")
        {
            throw new WorkflowTypeMismatchException($"Some of these workflows exist and are not a {contract.Name}: choose other ids.");
        }
        catch (DbException error) when (error.SqlState == "AC005")
        {
            throw contract.Mismatch();
        }
        catch (DbException error) when (error.SqlState == "AC006")
        {
            throw contract.Unregistered();
        }
    }

    private static void Add(DbCommand command, string name, object value)
    {
        var parameter = command.CreateParameter();
        (parameter.ParameterName, parameter.Value) = (name, value);
        command.Parameters.Add(parameter);
    }

    /// <summary>What the command sends of a chunk.</summary>
    private sealed class Columns(List<(string Id, Payload Input)> starts)
    {
        public string[] Ids { get; } = [.. starts.Select(start => start.Id)];
        public string?[] Payloads { get; } = [.. starts.Select(
            start => start.Input is { Encoded: false, Data: { } json } ? Encoding.UTF8.GetString(json) : null)];
        public byte[]?[] Bytes { get; } = [.. starts.Select(start => start.Input.Encoded ? start.Input.Data : null)];
        public Guid[] Runs { get; } = [.. starts.Select(_ => Guid.NewGuid())];
    }
}
