using System.Data;
using System.Data.Common;
using System.Text;
using Actors.Wire;

namespace Actors.Calling;

/// <summary>Starts many workflows of one contract in the caller's transaction, a chunk a round trip: memory is bounded by two chunks and one input.</summary>
internal sealed class BulkStart(DbTransaction transaction, string type, string @namespace)
{
    private const int ChunkCountMax = 10_000;
    private const int ChunkBytesMax = 4 * 1024 * 1024;

    private readonly List<string> _ids = [];
    private readonly List<Payload> _inputs = [];
    private Task<long> _underWay = Task.FromResult(0L);
    private long _bytes;

    public async Task<long> RunAsync<TInput>(IEnumerable<KeyValuePair<string, TInput>> inputs, PayloadSerializer payloads, CancellationToken cancellation)
    {
        try
        {
            foreach (var (id, input) in inputs)
            {
                var workflow = new WorkflowId(id, @namespace);
                var payload = payloads.Write(input, $"Input of workflow '{workflow}'");
                _ids.Add(id);
                _inputs.Add(payload);
                _bytes += payload.Size;
                if (_ids.Count == ChunkCountMax || _bytes >= ChunkBytesMax)
                {
                    await SendAsync(cancellation);
                }
            }

            await SendAsync(cancellation);
        }
        finally
        {
            await ((Task)_underWay).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // The caller has its connection back.
        }

        return await _underWay;
    }

    /// <summary>Sends what is collected when the chunk before it is done; the next one is collected meanwhile.</summary>
    private async Task SendAsync(CancellationToken cancellation)
    {
        var made = await _underWay;
        if (_ids.Count > 0)
        {
            _underWay = InsertAsync(
                made,
                [.. _ids],
                [.. _inputs.Select(input => input is { Encoded: false, Data: { } json } ? Encoding.UTF8.GetString(json) : null)],
                [.. _inputs.Select(input => input.Encoded ? input.Data : null)],
                cancellation);
            _ids.Clear();
            _inputs.Clear();
            _bytes = 0;
        }
    }

    private async Task<long> InsertAsync(long made, string[] ids, string?[] payloads, byte[]?[] bytes, CancellationToken cancellation)
    {
        await Task.Yield(); // Beside the caller.
        await using var command = transaction.Connection!.CreateCommand();
        (command.Transaction, command.CommandText) = (transaction, "select actors.start_workflows(@namespace, @type, @ids, @payloads::json[], @bytes)");
        Add(command, "namespace", @namespace);
        Add(command, "type", type);
        Add(command, "ids", ids);
        Add(command, "payloads", payloads);
        Add(command, "bytes", bytes);
        try
        {
            return made + (long)(await command.ExecuteScalarAsync(cancellation))!;
        }
        catch (DbException error) when (error.SqlState == "AC002")
        {
            throw new WorkflowTypeMismatchException($"Some of these workflows exist and are not a {type}: choose other ids.");
        }
    }

    private static void Add(DbCommand command, string name, object value)
    {
        var parameter = command.CreateParameter();
        (parameter.ParameterName, parameter.Value) = (name, value);
        command.Parameters.Add(parameter);
    }
}
